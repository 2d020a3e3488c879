import type { IncomingMessage, ServerResponse } from "node:http";
import { peek } from "../values/thrown.js";
import { whenRead } from "../values/when-read.js";
import {
  isApp,
  isMountedApp,
  type Layer,
  layersOfApp,
  layersOfRouter,
  originalOf,
  withoutBuiltIn,
} from "./app.js";
import { type ComposedStep, composedSteps, membersOf } from "./handler.js";
import { type LayerInfo, layerInfo, memberInfo } from "./layer-info.js";

/** One call of a layer. Each method is called only if its event happens. */
export interface LayerCall {
  /** It calls `next`. `resumed` is called when that call is over. */
  next(value: unknown): void;
  resumed(): void;
  threw(error: unknown): void;
  rejected(error: unknown): void;
  /** Its function has returned or thrown; what it has begun may go on. */
  returned(): void;
}

export interface LayerWatcher {
  /** A request comes to the app. `run` lets the app handle it. */
  request(req: IncomingMessage, res: ServerResponse, run: () => void): void;
  /** A layer is called for a request. Undefined if this call is not watched. */
  enter(req: IncomingMessage, res: ServerResponse, layer: LayerInfo): LayerCall | undefined;
  /** What a function without a name is shown as; the name may be empty. */
  describe(handler: unknown): Pick<LayerInfo, "name" | "source">;
}

type Next = (value?: unknown) => void;
type Method = (this: object, ...args: unknown[]) => unknown;
type Handle = (...args: unknown[]) => unknown;
type Named = Record<string, unknown>;

/** The names of a layer's methods in Express 5 and in Express 4. */
const REQUEST_METHODS = ["handleRequest", "handle_request"];
const ERROR_METHODS = ["handleError", "handle_error"];

/**
 * Watches the layers of an app, also those that are added later and those of mounted apps. Each layer gets methods of its
 * own that call the inherited ones: its `handle` stays as it is, for all who read it. `stop` removes them.
 */
export function watchLayers(app: object, watcher: LayerWatcher): { readonly stop: () => void } {
  const watch = new Watch(watcher);
  const handle = (app as Named).handle as Method;
  const entrance: Method = function handleWatched(...args) {
    const [req, res] = args as [IncomingMessage, ServerResponse];
    if (watch.isStopped) return handle.apply(this, args);
    return watcher.request(req, res, () => {
      watch.enterApp(entrance, req, res, () => void handle.apply(this, args));
    });
  };
  const descriptor = Object.getOwnPropertyDescriptor(app, "handle");
  (app as Named).handle = entrance;
  return {
    stop() {
      watch.stop();
      // If other code has wrapped `entrance` since, it stays, and only passes on.
      if ((app as Named).handle !== entrance) return;
      if (descriptor === undefined) delete (app as Named).handle;
      else Object.defineProperty(app, "handle", descriptor);
    },
  };
}

class Watch {
  isStopped = false;
  /** The watched layers, and the steps of chains, each with the function that restores it. */
  readonly #layers = new Map<Layer | ComposedStep, () => void>();
  /** Apps by what handles their requests. */
  readonly #apps = new WeakMap<object, object>();
  /** The routers that are being read: one may be mounted in itself. */
  readonly #reading = new Set<readonly Layer[]>();

  constructor(private readonly watcher: LayerWatcher) {}

  stop(): void {
    this.isStopped = true;
    for (const restore of this.#layers.values()) restore();
    this.#layers.clear();
  }

  /**
   * Runs an app, and watches its layers. To read the router of a new app would make it, before the app's settings are
   * complete; and which app a mounted function belongs to, only that function knows. So the layers are first read when
   * Express reads `res.locals`: then `req.app` is this app.
   *
   * @param handle the app's `handle`, or the function that it is mounted as
   */
  enterApp(handle: object, req: IncomingMessage, res: ServerResponse, run: () => void): void {
    const known = this.#apps.get(handle);
    if (known !== undefined) {
      this.#watchApp(known);
      run();
      return;
    }
    const forget = whenRead(res, "locals", () => {
      const app = peek(req, "app");
      if (!isApp(app)) return;
      this.#apps.set(handle, app as object);
      this.#watchApp(app as object);
    });
    try {
      run();
    } finally {
      forget();
    }
  }

  #watchApp(app: object): void {
    this.#watchAll(withoutBuiltIn(layersOfApp(app) ?? []));
  }

  #watchAll(layers: readonly Layer[]): void {
    for (const layer of layers) {
      if (!this.#layers.has(layer)) this.#layers.set(layer, this.#watch(layer));
      this.#watchInner(layer);
    }
  }

  #watchInner(layer: Layer): void {
    if (layer.route) {
      for (const inner of layer.route.stack ?? []) {
        if (!this.#layers.has(inner)) this.#layers.set(inner, this.#watch(inner));
        this.#watchMembers(inner.handle);
      }
      return;
    }
    this.#watchMembers(layer.handle);
  }

  /** Watches what a handler runs: the layers of a router, or the members of a chain. */
  #watchMembers(handler: unknown): void {
    for (const step of composedSteps(handler) ?? []) {
      if (!this.#layers.has(step)) this.#layers.set(step, this.#watchStep(step));
    }
    const inner = layersOfRouter(handler);
    if (inner !== undefined && !this.#reading.has(inner)) {
      this.#reading.add(inner);
      this.#watchAll(inner);
      this.#reading.delete(inner);
    }
    for (const member of membersOf(handler) ?? []) this.#watchMembers(member);
  }

  /** Puts another function in the place of a chain's member. Returns what puts the member back. */
  #watchStep(step: ComposedStep): () => void {
    const member = step.handle as Handle;
    const info = this.#named(memberInfo(member), member);
    const takesError = info.kind === "error handler";

    const watched: Handle = (...args) => {
      const [req, res, next] = args.slice(takesError ? 1 : 0) as [IncomingMessage, ServerResponse, Next];
      const call = this.isStopped ? undefined : this.watcher.enter(req, res, info);
      if (call === undefined) return member(...args);
      try {
        return this.#watchedHandle(member, call, takesError)(...args.with(-1, watchedNext(next, call)));
      } finally {
        call.returned();
      }
    };
    step.handle = watched;
    return () => {
      if (step.handle === watched) step.handle = member;
    };
  }

  /** Gives a layer methods of its own. Returns what removes them. */
  #watch(layer: Layer): () => void {
    const info = this.#named(layerInfo(layer), layer.handle);
    const restore = [
      ...REQUEST_METHODS.map((name) => this.#replace(layer, name, info, false)),
      ...ERROR_METHODS.map((name) => this.#replace(layer, name, info, true)),
    ];
    return () => {
      for (const one of restore) one?.();
    };
  }

  #named(info: LayerInfo, handler: unknown): LayerInfo {
    return info.name === "" ? { ...info, ...this.watcher.describe(originalOf(handler)) } : info;
  }

  #replace(layer: Layer, name: string, info: LayerInfo, takesError: boolean): (() => void) | undefined {
    const target = layer as unknown as Named;
    if (typeof target[name] !== "function") return undefined;
    const own = Object.getOwnPropertyDescriptor(target, name);
    const watched = this.#watched(own?.value as Method | undefined, name, info, takesError);
    Object.defineProperty(target, name, { value: watched, configurable: true, writable: true });
    return () => {
      if (target[name] !== watched) return;
      if (own === undefined) delete target[name];
      else Object.defineProperty(target, name, own);
    };
  }

  /** @param own a method that other code has put on the layer */
  #watched(own: Method | undefined, name: string, info: LayerInfo, takesError: boolean): Method {
    const watch = this;
    return function (...args) {
      const method = own ?? (Reflect.get(Object.getPrototypeOf(this), name) as Method);
      const [req, res, next] = args.slice(takesError ? 1 : 0) as [IncomingMessage, ServerResponse, Next];
      const { handle } = this as { readonly handle: Handle };
      // Express skips a handler of the other kind.
      const runs = takesError ? handle.length === 4 : handle.length <= 3;
      const call = runs && !watch.isStopped ? watch.watcher.enter(req, res, info) : undefined;
      if (call === undefined) return method.apply(this, args);
      const view = Object.create(this, { handle: { value: watch.#watchedHandle(handle, call, takesError) } });
      try {
        return method.apply(view, args.with(-1, watchedNext(next, call)));
      } finally {
        call.returned();
      }
    };
  }

  /** The watched handler, with four parameters if it takes an error: Express counts them. */
  #watchedHandle(handle: Handle, call: LayerCall, takesError: boolean): Handle {
    const run = (args: unknown[]): unknown => {
      const [req, res] = args as [IncomingMessage, ServerResponse];
      let result: unknown;
      try {
        if (isMountedApp(handle) || isApp(handle))
          this.enterApp(handle, req, res, () => void handle(...args));
        else result = handle(...args);
      } catch (error) {
        call.threw(error);
        throw error;
      }
      // The promise for Express rejects too: else an error that nobody handles would be hidden (Express 4).
      if (!(result instanceof Promise)) return result;
      return result.catch((error: unknown) => {
        call.rejected(error);
        throw error;
      });
    };
    return takesError
      ? (error, req, res, next) => run([error, req, res, next])
      : (req, res, next) => run([req, res, next]);
  }
}

function watchedNext(next: Next, call: LayerCall): Next {
  const watched: Next = (value) => {
    call.next(value);
    try {
      next(value);
    } finally {
      call.resumed();
    }
  };
  return Object.assign(watched, { __original: next }); // so that a chain finds the `next` that it gave
}
