import type { Request, Response } from "./bridge.js";

type Next = (error?: unknown) => void;
type Handle = (req: Request, res: Response, next: Next) => void;

interface Layer {
  handle: unknown;
}
interface WithRouter {
  readonly router?: { readonly stack: readonly Layer[] };
  /** In Express 4, where reading `router` throws. */
  readonly _router?: { readonly stack: readonly Layer[] };
  readonly lazyrouter?: unknown;
}

/** How many layers of an app have been checked. */
const checked = new WeakMap<object, number>();
const wrapped = new WeakSet<Handle>();

/**
 * Restores the prototypes of a request that a mounted app passes on with `next`: Express sets this app's prototypes for
 * HTTP/1.1 there. Call it for each request: layers may have been added, and reading `router` earlier would create it with
 * the settings of that moment.
 */
export function keepMountedPrototypes(app: object): void {
  const stack = stackOf(app);
  if (stack === undefined || stack.length === checked.get(app)) return;
  checked.set(app, stack.length);
  for (const layer of stack) {
    const { handle } = layer;
    if (isMounted(handle) && !wrapped.has(handle)) wrapped.add((layer.handle = restoringPrototypes(handle)));
  }
}

function stackOf(app: WithRouter): readonly Layer[] | undefined {
  return (app.lazyrouter === undefined ? app.router : app._router)?.stack;
}

function isMounted(handle: unknown): handle is Handle {
  return typeof handle === "function" && handle.name === "mounted_app";
}

function restoringPrototypes(handle: Handle): Handle {
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
