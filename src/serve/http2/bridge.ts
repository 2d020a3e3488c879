import type { IncomingMessage, ServerResponse } from "node:http";
import { ends } from "./ends.js";
import { type Constructor, type Mirror, mirrorOf, refresh } from "./mirror.js";
import { keepPrototypes } from "./mounted.js";

/** What of an Express app is needed here. */
export interface ExpressApp {
  request: object;
  response: object;
  handle(req: Request, res: Response, callback?: (error?: unknown) => void): void;
}

export type Request = IncomingMessage & { readonly app?: unknown; readonly res?: Response };
export type Response = ServerResponse;

export function isExpressApp(app: unknown): app is ExpressApp {
  if (typeof app !== "function") return false;
  const { handle, request, response } = app as Partial<ExpressApp>;
  return typeof handle === "function" && typeof request === "object" && typeof response === "object";
}

/** What an app that was made ready for HTTP/2 has as `request` and `response`, as everyone else sees it. */
interface Own {
  request: object;
  response: object;
}

const known = new WeakMap<object, Own>();
/** Two copies of this package must not bridge one app twice. */
const BRIDGED = Symbol.for("express-portico/http2");

/**
 * The app that is about to read its `request` and `response` to make them the prototypes of an HTTP/2 request.
 * Express reads each once, in this order, before any other code runs.
 */
let armed: Own | undefined;

/**
 * `app.handle` makes the app's `request` and `response` the prototypes of what it handles. There, and for HTTP/2, they
 * are the mirrors; to everyone else they are what they were.
 */
export function bridge(app: ExpressApp): void {
  if (Object.hasOwn(app, BRIDGED)) return;
  Object.defineProperty(app, BRIDGED, { value: true });
  const own: Own = { request: app.request, response: app.response };
  known.set(app, own);
  Object.defineProperties(app, {
    request: {
      configurable: true,
      enumerable: true,
      get: () => (armed === own ? requestMirror(own).Class.prototype : own.request),
      set(request: object) {
        own.request = request;
      },
    },
    response: {
      configurable: true,
      enumerable: true,
      get() {
        if (armed !== own) return own.response;
        armed = undefined;
        return responseMirror(own).Class.prototype;
      },
      set(response: object) {
        own.response = response;
      },
    },
  });
  app.handle = handleWith(own, app.handle);
}

/** Classes of HTTP/2 objects that have this app's prototypes from the beginning; undefined if it was not bridged. */
export function classesFor(
  app: object,
): { readonly Request: Constructor; readonly Response: Constructor } | undefined {
  const own = known.get(app);
  return own && { Request: requestMirror(own).Class, Response: responseMirror(own).Class };
}

function requestMirror(own: Own): Mirror {
  return mirrorOf(own.request, ends().request);
}

function responseMirror(own: Own): Mirror {
  return mirrorOf(own.response, ends().response);
}

function handleWith(own: Own, original: ExpressApp["handle"]): ExpressApp["handle"] {
  return function handle(this: ExpressApp, req, res, callback) {
    if (!isHttp2(req)) return original.call(this, req, res, callback);
    meetApps(req);
    keepPrototypes(this);
    refresh(requestMirror(own));
    refresh(responseMirror(own));
    armed = own;
    try {
      original.call(this, req, res, callback);
    } finally {
      armed = undefined; // should it have thrown before it read them
    }
  };
}

function isHttp2(req: Request): boolean {
  return req.httpVersionMajor >= 2 && req instanceof ends().Request;
}

/** Makes a request ready for apps that are not known yet. To be called before any of them has it. */
export function meetApps(req: IncomingMessage): void {
  if (!Object.hasOwn(req, "url")) Object.defineProperty(req, "url", URL_OF);
}

/**
 * How an app that is not known yet is met: it was mounted, or is called by a function that nobody can look into
 * (`vhost(name, app)`), and makes the prototypes for HTTP/1.1 those of an HTTP/2 request. The first thing that it then
 * asks for is the `url`.
 */
const URL_OF: PropertyDescriptor & ThisType<Request> = {
  configurable: true,
  enumerable: true,
  get() {
    if (isLost(this)) find(this);
    return ends().url.get.call(this);
  },
  set(url: string) {
    if (isLost(this)) find(this);
    ends().url.set.call(this, url);
  },
};

function isLost(req: Request): boolean {
  return (req as { stream?: object }).stream === undefined;
}

function find(req: Request): void {
  const prototype = Object.getPrototypeOf(req) as Request;
  if (isExpressApp(prototype.app)) bridge(prototype.app);
  const mirror = mirrorOf(prototype, ends().request);
  refresh(mirror);
  Object.setPrototypeOf(req, mirror.Class.prototype);
  const { res } = req;
  if (res === undefined || (res as { stream?: object }).stream !== undefined) return;
  const other = mirrorOf(Object.getPrototypeOf(res), ends().response);
  refresh(other);
  Object.setPrototypeOf(res, other.Class.prototype);
}
