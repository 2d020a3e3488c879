import type { IncomingMessage, ServerOptions, ServerResponse } from "node:http";
import { ConfigError } from "../lib/config/config-error.js";
import { refuseRequest } from "../lib/config/not-called.js";
import { installFastSend } from "../lib/express/fast-send.js";

/** Options for the `createServer` of `node:http` and `node:https`, and for HTTP/1.1 beside HTTP/2. */
export interface ExpressServerOptions extends Pick<ServerOptions, "IncomingMessage" | "ServerResponse"> {
  readonly Http1IncomingMessage?: typeof IncomingMessage;
  readonly Http1ServerResponse?: typeof ServerResponse;
}

/** The properties of an Express app that are used here. */
interface AppLike {
  readonly request: object;
  readonly response: object;
}

/**
 * Options with which your own server runs an Express app as fast as `serve` does.
 *
 * Express changes the prototype of each request and response to the app's own. That costs time, and on Node 20 and 22
 * it slows down every later access to the object. A server with these options creates them with that prototype. This is
 * for HTTP/1.1; HTTP/2 requests stay Node's own. Pass the outermost app; apps that are mounted on it need nothing.
 *
 * @example
 * http.createServer(expressServerOptions(app), app).listen(8080);
 *
 * @example
 * http2.createSecureServer({ key, cert, allowHTTP1: true, ...expressServerOptions(app) }, handler);
 *
 * @throws {ConfigError} if the argument is not an Express app
 */
export function expressServerOptions(app: unknown): ExpressServerOptions {
  refuseRequest("expressServerOptions()", app);
  if (!isExpressApp(app)) {
    const reason = "must be the app that express() returned: expressServerOptions(app)";
    throw new ConfigError("expressServerOptions()", [{ option: "app", value: app, reason }]);
  }
  const http = process.getBuiltinModule("node:http");
  if (isClass(http.IncomingMessage) || isClass(http.ServerResponse)) return {};
  makeAssignable(app.request);
  installFastSend(app);
  const Req = requestOf(http.IncomingMessage, app.request) as unknown as typeof IncomingMessage;
  const Res = responseOf(http.ServerResponse, app.response) as unknown as typeof ServerResponse;
  return {
    IncomingMessage: Req,
    ServerResponse: Res,
    Http1IncomingMessage: Req,
    Http1ServerResponse: Res,
  };
}

/** Whether it is an Express app over Node's own classes; anything else is served as a plain listener. */
export function isExpressApp(app: unknown): app is AppLike {
  if (typeof app !== "function") return false;
  const { request, response, handle } = app as Partial<AppLike> & { handle?: unknown };
  if (typeof handle !== "function") return false;
  const http = process.getBuiltinModule("node:http");
  return request instanceof http.IncomingMessage && response instanceof http.ServerResponse;
}

/** Node's constructors are functions today. If they become classes, they cannot be called on an object of ours. */
function isClass(made: unknown): boolean {
  return /^class\b/.test(Function.prototype.toString.call(made));
}

type Base = (this: object, ...args: unknown[]) => void;
type Fields = Record<string, unknown>;

/** No socket, and no request. */
const NEVER = {};

// The assignments below never run. V8 counts them to decide how many properties it keeps inside the objects of a
// constructor. Node's constructors called on another object get almost no room: V8 then turns a response into a
// dictionary, which costs a fifth of a small request. V8 frees unused room after the first few objects.

function requestOf(Original: unknown, prototype: object) {
  function IncomingMessage(this: Fields, socket: unknown) {
    if (socket === NEVER) {
      this.a0 = this.a1 = this.a2 = this.a3 = this.a4 = this.a5 = this.a6 = this.a7 = 0;
      this.b0 = this.b1 = this.b2 = this.b3 = this.b4 = this.b5 = this.b6 = this.b7 = 0;
      this.c0 = this.c1 = this.c2 = this.c3 = this.c4 = this.c5 = this.c6 = this.c7 = 0;
      this.d0 = this.d1 = this.d2 = this.d3 = this.d4 = this.d5 = this.d6 = this.d7 = 0;
      this.e0 = this.e1 = this.e2 = this.e3 = this.e4 = this.e5 = this.e6 = this.e7 = 0;
      this.f0 = this.f1 = this.f2 = this.f3 = this.f4 = this.f5 = this.f6 = this.f7 = 0;
    }
    (Original as Base).call(this, socket);
  }
  IncomingMessage.prototype = prototype;
  return IncomingMessage;
}

function responseOf(Original: unknown, prototype: object) {
  function ServerResponse(this: Fields, req: unknown, options: unknown) {
    if (req === NEVER) {
      this.a0 = this.a1 = this.a2 = this.a3 = this.a4 = this.a5 = this.a6 = this.a7 = 0;
      this.b0 = this.b1 = this.b2 = this.b3 = this.b4 = this.b5 = this.b6 = this.b7 = 0;
      this.c0 = this.c1 = this.c2 = this.c3 = this.c4 = this.c5 = this.c6 = this.c7 = 0;
      this.d0 = this.d1 = this.d2 = this.d3 = this.d4 = this.d5 = this.d6 = this.d7 = 0;
      this.e0 = this.e1 = this.e2 = this.e3 = this.e4 = this.e5 = this.e6 = this.e7 = 0;
      this.f0 = this.f1 = this.f2 = this.f3 = this.f4 = this.f5 = this.f6 = this.f7 = 0;
      this.g0 = this.g1 = this.g2 = this.g3 = this.g4 = this.g5 = this.g6 = this.g7 = 0;
      this.h0 = this.h1 = this.h2 = this.h3 = this.h4 = this.h5 = this.h6 = this.h7 = 0;
    }
    (Original as Base).call(this, req, options);
  }
  ServerResponse.prototype = prototype;
  return ServerResponse;
}

/**
 * Makes `req.ip`, `req.query` and the like assignable: the value becomes the request's own property. Express defines
 * getters without setters, so an assignment throws in strict mode. With the app's prototype on every request that would
 * also happen in upgrades, which Express never handles.
 *
 * @param request the app's `request`; properties that the app defines on it later replace these
 */
export function makeAssignable(request: object): void {
  const { IncomingMessage } = process.getBuiltinModule("node:http");
  let from: object | null = request;
  while (from !== null && from !== IncomingMessage.prototype) {
    for (const name of Object.getOwnPropertyNames(from)) {
      const { get, set, configurable, enumerable } = Object.getOwnPropertyDescriptor(from, name)!;
      if (get === undefined || set !== undefined) continue;
      const isOwn = from === request;
      if (isOwn ? !configurable : Object.hasOwn(request, name)) continue;
      Object.defineProperty(request, name, {
        configurable: true,
        enumerable: enumerable === true,
        // Read from the prototype each time: it may be replaced there later.
        get: isOwn
          ? get
          : function inherited(this: object) {
              return Reflect.get(Object.getPrototypeOf(request) as object, name, this);
            },
        set(this: object, value: unknown) {
          Object.defineProperty(this, name, { configurable: true, enumerable: true, writable: true, value });
        },
      });
    }
    from = Object.getPrototypeOf(from) as object | null;
  }
}
