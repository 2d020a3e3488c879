import type { IncomingMessage, ServerResponse } from "node:http";
import { chainEnds } from "./ends.js";
import { type Constructor, type Mirror, mirrorOf, refresh } from "./mirror.js";
import { keepMountedPrototypes } from "./mounted.js";

/** The members of an Express app that are used here. */
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
export function bridge(app: ExpressApp): void {
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

/** Classes whose HTTP/2 objects have this app's prototypes from the start; undefined if it is not bridged. */
export function classesFor(
  app: object,
): { readonly Request: Constructor; readonly Response: Constructor } | undefined {
  const prototypes = bridged.get(app);
  return (
    prototypes && { Request: requestMirror(prototypes).Class, Response: responseMirror(prototypes).Class }
  );
}

function requestMirror(prototypes: AppPrototypes): Mirror {
  return mirrorOf(prototypes.request, chainEnds().request);
}

function responseMirror(prototypes: AppPrototypes): Mirror {
  return mirrorOf(prototypes.response, chainEnds().response);
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
  return req.httpVersionMajor >= 2 && req instanceof chainEnds().Request;
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
    return chainEnds().url.get.call(this);
  },
  set(url: string) {
    if (hasHttp1Prototype(this)) bridgeAppOf(this);
    chainEnds().url.set.call(this, url);
  },
};

function hasHttp1Prototype(req: Request): boolean {
  return (req as { stream?: object }).stream === undefined;
}

function bridgeAppOf(req: Request): void {
  const prototype = Object.getPrototypeOf(req) as Request;
  if (isExpressApp(prototype.app)) bridge(prototype.app);
  const mirror = mirrorOf(prototype, chainEnds().request);
  refresh(mirror);
  Object.setPrototypeOf(req, mirror.Class.prototype);
  const { res } = req;
  if (res === undefined || (res as { stream?: object }).stream !== undefined) return;
  const other = mirrorOf(Object.getPrototypeOf(res), chainEnds().response);
  refresh(other);
  Object.setPrototypeOf(res, other.Class.prototype);
}
