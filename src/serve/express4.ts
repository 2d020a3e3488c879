import type { IncomingMessage } from "node:http";
import { isThenable } from "../lib/values/thrown.js";

type Next = (error?: unknown) => void;
type Served = IncomingMessage & { readonly app?: AppLike };

interface AppLike {
  readonly parent?: AppLike;
  /** Express 4 alone has it, and makes its router on first use. */
  readonly lazyrouter?: unknown;
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

/** The apps whose requests this is for: the prototypes below are those of all apps of one copy of Express. */
const served = new WeakSet<object>();
const patched = new WeakSet<object>();
const bound = new WeakSet<object>();

/**
 * Gives what an async handler of Express 4 rejects with to `next`, as Express 5 does it: it is an error of its request.
 * Express 4 itself drops the promise, and the process hears of it as an error that nobody caught.
 *
 * @returns a function to be called as long as it returns false: the app may not have a router yet
 */
export function catchRejections(app: object): () => boolean {
  const { lazyrouter } = app as AppLike;
  if (typeof lazyrouter !== "function") return () => true;
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
  // `express-async-errors` does the same by an accessor; and what is not Express's own any more is left alone.
  if (Reflect.has(layers, "handle") || !isOriginal(layers.handle_request) || !isOriginal(layers.handle_error))
    return;

  layers.handle_request = function handle_request(req, res, next) {
    const { handle } = this;
    if (handle.length > 3) return next();
    call(req, next, () => handle(req as never, res as never, next as never));
  };
  layers.handle_error = function handle_error(error, req, res, next) {
    const { handle } = this;
    if (handle.length !== 4) return next(error);
    call(req, next, () => handle(error as never, req as never, res as never, next as never));
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

function call(req: Served, next: Next, run: () => unknown): void {
  let returned: unknown;
  try {
    returned = run();
  } catch (error) {
    next(error);
    return;
  }
  if (isThenable(returned) && isServed(req)) returned.then(undefined, (error) => next(reasonOf(error)));
}

/** `router.param` callbacks are kept in lists, and called by name. */
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
        if (isThenable(returned) && isServed(req)) returned.then(undefined, (error) => next(reasonOf(error)));
      };
      bound.add(binding);
      list[i] = binding;
    }
  }
}

/** As Express 5 has it: to `next`, nothing would be no error. */
function reasonOf(error: unknown): unknown {
  return error || new Error("Rejected promise");
}

function isServed({ app }: Served): boolean {
  let root = app;
  while (root?.parent !== undefined) root = root.parent;
  return root !== undefined && served.has(root);
}
