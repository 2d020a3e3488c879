import type { IncomingMessage } from "node:http";
import { isThenable } from "../values/thrown.js";
import { appsAround, isExpress4 } from "./app.js";

type Next = (error?: unknown) => void;
type Served = IncomingMessage & { readonly app?: AppLike };

interface AppLike {
  /** Express 4 makes its router on first use. */
  readonly _router?: RouterLike;
}
interface RouterLike {
  readonly stack: readonly LayerLike[];
  readonly params?: Record<string, unknown[]>;
}
interface LayerLike {
  readonly handle: (...args: never[]) => unknown;
  handle_request?(req: Served, res: object, next: Next): void;
  handle_error?(error: unknown, req: Served, res: object, next: Next): void;
}
interface RouterPrototype {
  process_params?(layer: LayerLike, called: unknown, req: Served, ...rest: unknown[]): void;
}

/** The served apps. All apps of one copy of Express share the patched prototypes; the others must not be affected. */
const served = new WeakSet<object>();
const patched = new WeakSet<object>();
const bound = new WeakSet<object>();

/**
 * Passes the rejection of an async Express 4 handler to `next`, as Express 5 does. Express 4 itself ignores the promise,
 * so the rejection would be an uncaught error.
 *
 * @returns a function to call again until it returns true: the app may not have a router yet
 */
export function catchRejections(app: object): () => boolean {
  if (!isExpress4(app)) return () => true;
  served.add(app);
  return () => {
    const router = (app as AppLike)._router;
    const layer = router?.stack[0];
    if (router === undefined || layer === undefined) return false;
    patch(Object.getPrototypeOf(layer) as LayerLike, Object.getPrototypeOf(router) as RouterPrototype);
    return true;
  };
}

function patch(layers: LayerLike, routers: RouterPrototype): void {
  if (patched.has(layers)) return;
  patched.add(layers);
  // `express-async-errors` does the same with an accessor; methods that were replaced are not changed.
  if (Reflect.has(layers, "handle") || !isOriginal(layers.handle_request) || !isOriginal(layers.handle_error))
    return;

  layers.handle_request = function handle_request(req, res, next) {
    const { handle } = this;
    if (handle.length > 3) return next();
    callHandler(req, next, () => handle(req as never, res as never, next as never));
  };
  layers.handle_error = function handle_error(error, req, res, next) {
    const { handle } = this;
    if (handle.length !== 4) return next(error);
    callHandler(req, next, () => handle(error as never, req as never, res as never, next as never));
  };
  const { process_params } = routers;
  if (process_params === undefined) return;
  routers.process_params = function params(this: RouterLike, layer, called, req, ...rest) {
    if (this.params !== undefined && isServed(req)) bindParams(this.params);
    process_params.call(this as never, layer, called, req, ...rest);
  };
}

function isOriginal(method: unknown): boolean {
  return typeof method === "function" && /\bfn\((?:error, )?req, res, next\)/.test(String(method));
}

function callHandler(req: Served, next: Next, run: () => unknown): void {
  let returned: unknown;
  try {
    returned = run();
  } catch (error) {
    next(error);
    return;
  }
  if (isThenable(returned) && isServed(req)) returned.then(undefined, (error) => next(errorOf(error)));
}

/** Wraps the `router.param` callbacks, which the router keeps in one list for each name. */
function bindParams(params: Record<string, unknown[]>): void {
  for (const list of Object.values(params)) {
    for (let i = 0; i < list.length; i++) {
      const callback = list[i];
      if (typeof callback !== "function" || bound.has(callback)) continue;
      const binding = function param(
        this: unknown,
        req: Served,
        res: object,
        next: Next,
        ...rest: unknown[]
      ) {
        const returned: unknown = callback.call(this, req, res, next, ...rest);
        if (isThenable(returned) && isServed(req)) returned.then(undefined, (error) => next(errorOf(error)));
      };
      bound.add(binding);
      list[i] = binding;
    }
  }
}

/** As in Express 5: `next(undefined)` would mean that there is no error. */
function errorOf(error: unknown): unknown {
  return error || new Error("Rejected promise");
}

function isServed({ app }: Served): boolean {
  const outermost = appsAround(app).at(-1);
  return outermost !== undefined && served.has(outermost);
}
