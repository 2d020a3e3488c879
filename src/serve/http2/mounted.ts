import type { Request, Response } from "./bridge.js";

type Next = (error?: unknown) => void;
type Handle = (req: Request, res: Response, next: Next) => void;

interface Layer {
  handle: unknown;
}
interface WithRouter {
  readonly router?: { readonly stack: readonly Layer[] };
  /** Express 4's, where to ask for `router` is an error. */
  readonly _router?: { readonly stack: readonly Layer[] };
  readonly lazyrouter?: unknown;
}

/** How many of an app's layers have been looked at. */
const seen = new WeakMap<object, number>();
const kept = new WeakSet<Handle>();

/**
 * When an app that is mounted on this one lets a request fall through, Express gives the request this app's prototypes
 * for HTTP/1.1. Here it gets back those that it had. To be called when a request comes: there may be new layers, and
 * to ask an app for its router any sooner makes it, with the settings of that moment.
 */
export function keepPrototypes(app: object): void {
  const stack = stackOf(app);
  if (stack === undefined || stack.length === seen.get(app)) return;
  seen.set(app, stack.length);
  for (const layer of stack) {
    const { handle } = layer;
    if (isMounted(handle) && !kept.has(handle)) kept.add((layer.handle = keeping(handle)));
  }
}

function stackOf(app: WithRouter): readonly Layer[] | undefined {
  return (app.lazyrouter === undefined ? app.router : app._router)?.stack;
}

function isMounted(handle: unknown): handle is Handle {
  return typeof handle === "function" && handle.name === "mounted_app";
}

function keeping(handle: Handle): Handle {
  return function mounted_app(req, res, next) {
    if (!(req.httpVersionMajor >= 2)) return handle(req, res, next);
    const ofRequest = Object.getPrototypeOf(req);
    const ofResponse = Object.getPrototypeOf(res);
    return handle(req, res, (error) => {
      Object.setPrototypeOf(req, ofRequest);
      Object.setPrototypeOf(res, ofResponse);
      next(error);
    });
  };
}
