import type { Request, Response } from "express";
import { describeHandler, type Handler } from "../lib/express/handler.js";
import { adopt } from "../lib/request/transport.js";
import { intercept } from "../lib/response/interceptor.js";
import { peek } from "../lib/values/thrown.js";
import { Body } from "./body.js";
import { type CompressOptions, type CompressPlan, checkOptions } from "./options.js";

export type { Encoding as CompressEncoding } from "./codings.js";
export type { CompressLevels, CompressOptions } from "./options.js";
export { isCompressible } from "./types.js";

/**
 * Sends the bodies of responses in the coding that the client likes best: zstd, Brotli, gzip or deflate.
 *
 * Goes after what belongs on every answer (context, log, security headers, CORS) and before all that writes bodies:
 * static files and routes that stand before it are not coded. It codes what shrinks (text, JSON, XML, scripts, SVG,
 * wasm: `isCompressible`) from `threshold` bytes on, and leaves alone what is coded already, ranges, event streams, and
 * what says `Cache-Control: no-transform`. A strong ETag becomes weak; Vary names Accept-Encoding. What is written in
 * parts is sent as the encoder gives it out: `res.flush()` pushes what is there. Request bodies are the body parser's.
 *
 * @example
 * app.use(compress());
 *
 * @example
 * app.use(
 *   compress({
 *     levels: { br: 5 },
 *     jitter: true, // pages that hold a secret and what a stranger may choose
 *     filter: (req) => !req.path.startsWith("/raw/"),
 *   }),
 * );
 *
 * @throws {ConfigError} all that is wrong with the options, at once
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-12.5.3
 */
export function compress(options?: CompressOptions): Handler {
  const plan = checkOptions(options);

  return describeHandler(
    function compress(req, res, next) {
      mount(plan, req, res);
      next();
    },
    { concern: "compress" },
  );
}

const BODY = Symbol("express-portico.compress");
type Mounted = Response & { [BODY]?: Body; flush?: () => void };

function mount(plan: CompressPlan, req: Request, res: Mounted): void {
  adopt(req, res);
  const { method } = req;
  if (method === "OPTIONS" || method === "CONNECT" || peek(req, "upgrade") === true || res.headersSent)
    return;
  const mounted = res[BODY];
  if (mounted !== undefined) {
    mounted.plan = plan; // of two, the later one: it is the nearer to the route
    return;
  }
  intercept(res, (outlet) => {
    const body = new Body(plan, req, res, outlet);
    res[BODY] = body;
    return body;
  });
  if (method === "HEAD") keepSent(res);
  const outer = res.flush;
  res.flush = function flush() {
    res[BODY]!.flush();
    outer?.call(res);
  };
}

/** Express makes the body of an answer to HEAD too, and then drops it: by that body it is known how GET is answered. */
function keepSent(res: Mounted): void {
  const { send } = res;
  if (typeof send !== "function") return;
  res.send = function (this: Mounted, ...args: unknown[]) {
    const [given] = args;
    const body = res[BODY]!;
    if (typeof given === "string") body.unsent = Buffer.from(given);
    else if (given instanceof Uint8Array) body.unsent = given;
    try {
      return Reflect.apply(send, this, args) as Mounted;
    } finally {
      body.unsent = undefined;
    }
  };
}
