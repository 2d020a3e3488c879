import type { Request, Response } from "express";
import { describeHandler, type Handler } from "../lib/express/handler.js";
import { adopt } from "../lib/request/transport.js";
import { intercept } from "../lib/response/intercept.js";
import { peek } from "../lib/values/thrown.js";
import { Body } from "./body.js";
import { type CompressOptions, type CompressPlan, checkOptions } from "./options.js";

export type { EncodingName as CompressEncoding } from "./encoders.js";
export { isCompressible } from "./negotiate.js";
export type { CompressLevels, CompressOptions } from "./options.js";

/**
 * Compresses response bodies with the encoding that the client prefers: zstd, Brotli, gzip or deflate.
 *
 * Place: after the middleware that every answer needs (context, log, security headers, CORS), before all that writes
 * bodies. Static files and routes before it are not compressed. It compresses text, JSON, XML, scripts, SVG, wasm and the
 * like (`isCompressible`) from `threshold` bytes on. Not compressed are bodies that have an encoding, ranges, event
 * streams, and responses with `Cache-Control: no-transform`. A strong ETag becomes weak; Vary gets Accept-Encoding. A body
 * that is written in parts is sent when the handler pauses; `res.flush()` sends it at once.
 *
 * @example
 * app.use(compress());
 *
 * @example
 * app.use(
 *   compress({
 *     levels: { br: 5 },
 *     jitter: true, // for pages with a secret and with text that a stranger can choose
 *     filter: (req) => !req.path.startsWith("/raw/"),
 *   }),
 * );
 *
 * @throws {ConfigError} with all problems of the options
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
    mounted.plan = plan; // the innermost one decides
    return;
  }
  intercept(res, (outer) => {
    const body = new Body(plan, req, res, outer);
    res[BODY] = body;
    return body;
  });
  if (method === "HEAD") keepSent(res);
  const outerFlush = res.flush;
  res.flush = function flush() {
    res[BODY]!.onFlush();
    outerFlush?.call(res);
  };
}

/** Keeps the body that Express makes for a HEAD request and then drops: it shows how a GET would be answered. */
function keepSent(res: Mounted): void {
  const { send } = res;
  if (typeof send !== "function") return;
  res.send = function (this: Mounted, ...args: unknown[]) {
    const [given] = args;
    const body = res[BODY]!;
    if (typeof given === "string") body.headBody = Buffer.from(given);
    else if (given instanceof Uint8Array) body.headBody = given;
    try {
      return Reflect.apply(send, this, args) as Mounted;
    } finally {
      body.headBody = undefined;
    }
  };
}
