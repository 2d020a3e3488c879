import type { IncomingMessage, ServerResponse } from "node:http";
import { isMountedApp } from "./app.js";

type Next = (error?: unknown) => void;
type Handle = (req: IncomingMessage, res: ServerResponse, next: Next) => void;

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
 * Restores the prototypes of an HTTP/2 request that a mounted app passes on with `next`: Express sets this app's
 * prototypes for HTTP/1.1 there. Call it for each request: layers may have been added, and reading `router` earlier would
 * create it with the settings of that moment.
 */
export function keepMountedPrototypes(app: object): void {
  const stack = stackOf(app);
  if (stack === undefined || stack.length === checked.get(app)) return;
  checked.set(app, stack.length);
  for (const layer of stack) {
    const { handle } = layer;
    if (isMountedApp(handle) && !wrapped.has(handle as Handle)) {
      wrapped.add((layer.handle = restoringPrototypes(handle as Handle)));
    }
  }
}

/** Reads the property directly, without the checks of `layersOfApp`: it is called for each request. */
function stackOf(app: WithRouter): readonly Layer[] | undefined {
  return (app.lazyrouter === undefined ? app.router : app._router)?.stack;
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
