import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { keepMountedPrototypes } from "../../lib/express/mounted-apps.js";
import { bases, type Mirror, mirrorOf, refresh } from "./mirror.js";

/**
 * Makes an Express app ready for `http2Server.on("request", app)`: for HTTP/2, and for HTTP/1.1 beside it. Express
 * itself gives all requests the prototypes of HTTP/1.1, and then the first HTTP/2 request ends the process.
 *
 * It may be called again. Apps that are mounted on it, before or later, need no call. What is not an Express app (a plain
 * listener, a router) is not changed, and gets Node's objects.
 *
 * On HTTP/2 the app then has the API of HTTP/1.1: `req.headers` with the host and without pseudo-headers, body parsers
 * that work without a length, header methods that return the response and refuse control characters, `res.writeHead` in
 * all its forms, `res.setHeaders`, `res.destroyed`, a 'finish' only after a complete response, and an error in a body
 * whose client has left. What HTTP/2 forbids (`Connection`, `Keep-Alive`, `Transfer-Encoding`, a status message) is
 * dropped.
 *
 * What stays different:
 * - `req instanceof http.IncomingMessage` and `res instanceof http.ServerResponse` are false, and what a program adds to
 *   these prototypes is missing.
 * - `req.httpVersion` is "2.0"; `req.rawHeaders` has the pseudo-headers, and no host.
 * - `req.socket` acts on the stream in `destroy`, `end`, `on`, `once` and `emit`, on the session in `setTimeout`, and
 *   otherwise on the connection of all streams; writing to it or reading from it is an error.
 * - A status above 599 is an error, as in the standard.
 */
export function bridgeHttp2(app: unknown): void {
  if (isBridgeable(app)) bridge(app);
}

/** Options for `http2.createServer` and `http2.createSecureServer`. */
export interface Http2ServerOptions {
  readonly Http2ServerRequest?: typeof Http2ServerRequest;
  readonly Http2ServerResponse?: typeof Http2ServerResponse;
}

/**
 * Bridges the app, and returns options with which a server creates its HTTP/2 objects with the app's prototypes: on Node
 * 20 and 22 this halves the cost of a small request. Empty for anything but an Express app.
 */
export function http2ServerOptions(app: unknown): Http2ServerOptions {
  if (!isBridgeable(app)) return {};
  bridge(app);
  const prototypes = bridged.get(app);
  if (prototypes === undefined) return {}; // another copy of this package has bridged it
  return {
    Http2ServerRequest: requestMirror(prototypes).Class as typeof Http2ServerRequest,
    Http2ServerResponse: responseMirror(prototypes).Class as typeof Http2ServerResponse,
  };
}

/** The members of an Express app that are used here. */
interface ExpressApp {
  request: object;
  response: object;
  handle(req: Request, res: Response, callback?: (error?: unknown) => void): void;
}

type Request = IncomingMessage & { readonly app?: unknown; readonly res?: Response };
type Response = ServerResponse;

export function isBridgeable(app: unknown): app is ExpressApp {
  if (typeof app !== "function") return false;
  const { handle, request, response } = app as Partial<ExpressApp>;
  return typeof handle === "function" && typeof request === "object" && typeof response === "object";
}

/** The `request` and `response` of a bridged app, as all other code sees them. */
interface AppPrototypes {
  request: object;
  response: object;
}

const bridged = new WeakMap<object, AppPrototypes>();
/** Marks a bridged app, so that two copies of this package do not bridge it twice. */
const BRIDGED = Symbol.for("express-portico/http2");

/**
 * The app that now sets the prototypes of an HTTP/2 request. Express reads `app.request` and then `app.response`, once
 * each, before any other code runs: both reads return mirrors.
 */
let mirrorsFor: AppPrototypes | undefined;

/**
 * Bridges an app: `app.handle` sets the prototypes of each request and response to `app.request` and `app.response`. For
 * an HTTP/2 request it reads their mirrors there; all other reads, by other code, return the originals.
 */
function bridge(app: ExpressApp): void {
  if (Object.hasOwn(app, BRIDGED)) return;
  Object.defineProperty(app, BRIDGED, { value: true });
  const prototypes: AppPrototypes = { request: app.request, response: app.response };
  bridged.set(app, prototypes);
  Object.defineProperties(app, {
    request: {
      configurable: true,
      enumerable: true,
      get: () => (mirrorsFor === prototypes ? requestMirror(prototypes).Class.prototype : prototypes.request),
      set(request: object) {
        prototypes.request = request;
      },
    },
    response: {
      configurable: true,
      enumerable: true,
      get() {
        if (mirrorsFor !== prototypes) return prototypes.response;
        mirrorsFor = undefined;
        return responseMirror(prototypes).Class.prototype;
      },
      set(response: object) {
        prototypes.response = response;
      },
    },
  });
  app.handle = handleOver(prototypes, app.handle);
}

function requestMirror(prototypes: AppPrototypes): Mirror {
  return mirrorOf(prototypes.request, bases().request);
}

function responseMirror(prototypes: AppPrototypes): Mirror {
  return mirrorOf(prototypes.response, bases().response);
}

function handleOver(prototypes: AppPrototypes, original: ExpressApp["handle"]): ExpressApp["handle"] {
  return function handle(this: ExpressApp, req, res, callback) {
    if (!isHttp2(req)) return original.call(this, req, res, callback);
    bridgeOnFirstUse(req);
    keepMountedPrototypes(this);
    refresh(requestMirror(prototypes));
    refresh(responseMirror(prototypes));
    mirrorsFor = prototypes;
    try {
      original.call(this, req, res, callback);
    } finally {
      mirrorsFor = undefined; // it may have thrown before it read them
    }
  };
}

function isHttp2(req: Request): boolean {
  return req.httpVersionMajor >= 2 && req instanceof bases().Request;
}

/** Prepares an HTTP/2 request for Express apps that are not bridged yet. Must be called before one of them handles it. */
export function bridgeOnFirstUse(req: IncomingMessage): void {
  if (!Object.hasOwn(req, "url")) Object.defineProperty(req, "url", URL_ACCESSOR);
}

/**
 * Finds an app that is not bridged yet: it is mounted, or a function calls it (`vhost(name, app)`). Such an app gives an
 * HTTP/2 request the prototypes of HTTP/1.1, and then reads `url` first: this accessor bridges it.
 */
const URL_ACCESSOR: PropertyDescriptor & ThisType<Request> = {
  configurable: true,
  enumerable: true,
  get() {
    if (hasHttp1Prototype(this)) bridgeAppOf(this);
    return bases().url.get.call(this);
  },
  set(url: string) {
    if (hasHttp1Prototype(this)) bridgeAppOf(this);
    bases().url.set.call(this, url);
  },
};

function hasHttp1Prototype(req: Request): boolean {
  return (req as { stream?: object }).stream === undefined;
}

function bridgeAppOf(req: Request): void {
  const prototype = Object.getPrototypeOf(req) as Request;
  if (isBridgeable(prototype.app)) bridge(prototype.app);
  const mirror = mirrorOf(prototype, bases().request);
  refresh(mirror);
  Object.setPrototypeOf(req, mirror.Class.prototype);
  const { res } = req;
  if (res === undefined || (res as { stream?: object }).stream !== undefined) return;
  const other = mirrorOf(Object.getPrototypeOf(res), bases().response);
  refresh(other);
  Object.setPrototypeOf(res, other.Class.prototype);
}
