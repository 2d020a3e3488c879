import { hasOwn, peek } from "../values/thrown.js";

/** What `app.use` and `app.get` add to a router's stack. Each version of Express keeps its path in another form. */
export interface Layer {
  readonly handle?: unknown;
  readonly name?: string;
  readonly method?: string;
  readonly route?: Route;
  /** Router 2.3 and later: the path as it was given. */
  readonly rawPath?: unknown;
  /** Router 2: mounted at the root. */
  readonly slash?: boolean;
  /** Router 2: one function for each path. */
  readonly matchers?: readonly Matcher[];
  /** Express 4. */
  readonly regexp?: RegExp & { readonly fast_slash?: boolean };
  readonly keys?: readonly { readonly name: string | number }[];
}

export interface Route {
  readonly path: unknown;
  readonly methods?: Readonly<Record<string, boolean>>;
  readonly stack?: readonly Layer[];
}

export type Params = Readonly<Record<string, unknown>>;
export type Matcher = (path: string) => false | { readonly path: string; readonly params: Params };

/** Reads variables that a function has closed over. `tools/check` can, with Node's inspector. */
export interface VariableReader {
  read(fn: unknown, names: readonly string[]): Readonly<Record<string, unknown>> | undefined;
}

/** A reader that finds nothing, for code that must not open an inspector session. */
export const NO_VARIABLES: VariableReader = { read: () => undefined };

const MAX_DEPTH = 32;

/** Whether a value is an Express app: a function that has settings, and a way to handle requests. */
export function isApp(value: unknown): boolean {
  return (
    typeof value === "function" &&
    typeof peek(value, "handle") === "function" &&
    typeof peek(value, "set") === "function" &&
    typeof peek(value, "settings") === "object"
  );
}

export function isRouter(value: unknown): boolean {
  return typeof value === "function" && layersOfRouter(value) !== undefined && !isApp(value);
}

export function isExpress4(app: unknown): boolean {
  return typeof peek(app, "lazyrouter") === "function";
}

/** The layers of a router; undefined for anything else. */
export function layersOfRouter(router: unknown): Layer[] | undefined {
  const stack = peek(router, "stack");
  return Array.isArray(stack) ? (stack as Layer[]) : undefined;
}

/**
 * The layers of an app; undefined if it has none. Express 5 makes an app's router when it is first read, with the
 * settings of that moment: ask `isWithoutRouter` first where no request has come to the app yet.
 */
export function layersOfApp(app: unknown): Layer[] | undefined {
  return layersOfRouter(peek(app, "_router") ?? peek(app, "router")); // Express 4 throws at the second
}

/** Whether an app of Express 5 has no router yet; undefined if that cannot be found out. */
export function isWithoutRouter(app: unknown, variables: VariableReader): boolean | undefined {
  const getter = Object.getOwnPropertyDescriptor(app as object, "router")?.get;
  if (isExpress4(app) || getter === undefined) return false;
  const held = variables.read(getter, ["router"]);
  return held !== undefined && "router" in held ? held.router === null : undefined;
}

/** The layers without the two that Express 4 puts before all others. */
export function withoutBuiltIn(layers: readonly Layer[]): readonly Layer[] {
  return layers.filter(
    ({ name, regexp }, i) => i > 1 || regexp === undefined || !/^(?:query|expressInit)$/.test(name ?? ""),
  );
}

/** The app, the app that it is mounted in, and so on: the outermost last. Empty for anything but an app. */
export function appsAround(app: unknown): object[] {
  const apps: object[] = [];
  for (let at = app; typeof at === "function" && apps.length < MAX_DEPTH; at = peek(at, "parent"))
    apps.push(at);
  return apps;
}

/** The handler that a tracer has wrapped: OpenTelemetry's and others keep it in `__original`, as shimmer does. */
export function originalOf(handler: unknown): unknown {
  let at = handler;
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    const original = peek(at, "__original");
    if (typeof original !== "function") break;
    at = original;
  }
  return at;
}

/** Whether a handler is the one that `app.use` makes for an app. */
export function isMountedApp(handler: unknown): boolean {
  return typeof handler === "function" && peek(originalOf(handler), "name") === "mounted_app";
}

/** The app in such a handler, which has it only in a variable of its scope. */
export function appInHandler(handler: unknown, variables: VariableReader): unknown {
  const app = variables.read(originalOf(handler), ["fn"])?.fn;
  return isApp(app) ? app : undefined;
}

const NEVER_SET = "@@symbol:trust_proxy_default";

/**
 * What the app's "trust proxy" is. While it has never been set, Express has a mark for that beside it in the settings. When
 * the app is mounted, Express deletes its value and leaves the mark; then the setting of the app around it counts.
 */
export function trustProxyOf(app: unknown): "unset" | "all" | "set" {
  let settings = peek(app, "settings");
  while (hasOwn(settings, NEVER_SET) && peek(settings, NEVER_SET) === true) {
    if (hasOwn(settings, "trust proxy")) return "unset";
    settings = Object.getPrototypeOf(settings);
  }
  return peek(settings, "trust proxy") === true ? "all" : "set";
}

/** `app.all` adds its handlers once for each method that Node knows. */
const MANY_METHODS = 20;

/** The methods of a route, `ALL` for all of them, and each of its layers once. */
export function readRoute({ methods = {}, stack = [] }: Route): {
  methods: string[];
  layers: readonly Layer[];
} {
  const names = Object.keys(methods);
  const isMany = names.length >= MANY_METHODS;
  return {
    methods: isMany || names.includes("_all") ? ["ALL"] : names.map((name) => name.toUpperCase()),
    layers: isMany ? stack.filter(({ method }) => method === undefined || method === names[0]) : stack,
  };
}
