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

/** One call of a layer. Of its methods, those apply that the layer causes. */
export interface LayerCall {
  /** It has called `next`; what comes after it runs before `resumed` is called. */
  next(value: unknown): void;
  resumed(): void;
  threw(error: unknown): void;
  rejected(error: unknown): void;
  /** Its function has returned; it may still be working. */
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

/** The methods of a layer, as Express 5 and Express 4 call them. */
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
      // Other code that has wrapped it since keeps it: then it only passes on.
      if ((app as Named).handle !== entrance) return;
      if (descriptor === undefined) delete (app as Named).handle;
      else Object.defineProperty(app, "handle", descriptor);
    },
  };
}

class Watch {
  isStopped = false;
  /** The watched layers, and the steps of chains, each with what ends that. */
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
   * Runs an app, and watches its layers. Express makes the router of a new app with the settings of the first request, and
   * a mounted app is known to its own function alone. So the layers are first read once the app has put its prototypes on
   * the request: then it reads `res.locals`.
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

  /** The layers of a router, and the handlers that a handler runs. */
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
      // Express passes by a handler of the other kind.
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

  /** The handler, with its number of parameters: Express tells error handlers by it. */
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
      // What Express gets rejects as the handler's promise does: in Express 4 without `serve` nobody may handle it.
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
  return Object.assign(watched, { __original: next }); // a chain compares it with the one that it has given
}
