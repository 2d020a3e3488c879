import { membersOf } from "../../src/lib/express/handler.js";
import { peek } from "../../src/lib/values/thrown.js";
import type { ClosureReader } from "./closure.js";
import { identify } from "./identify.js";
import { joinPaths, type Layer, mountPath, pathText } from "./mount-path.js";
import type { PipelineNode } from "./types.js";

interface Place {
  readonly index: string;
  readonly path: string;
  /** What is being read, from the outermost on: a router mounted in itself is not entered again. */
  readonly within: readonly unknown[];
}

const MAX_DEPTH = 32;
/** `app.all` puts its handlers there once for each method that Node knows. */
const MANY_METHODS = 20;
const UNREADABLE =
  "a mounted app keeps what is in it to itself, and Node's inspector, which could look, is not there; check it by itself";

/** Whether a value is an app of Express: a function that has settings, and a way to handle requests. */
export function isApp(value: unknown): boolean {
  return (
    typeof value === "function" &&
    typeof peek(value, "handle") === "function" &&
    typeof peek(value, "set") === "function" &&
    typeof peek(value, "settings") === "object"
  );
}

/** Reads what stands in an app. Nothing of the app is run. */
export class Reader {
  readonly #closures: ClosureReader;
  #unknown = 0;

  constructor(closures: ClosureReader) {
    this.#closures = closures;
  }

  app(app: unknown, place: Place = { index: "", path: "/", within: [] }): PipelineNode {
    const settings = peek(app, "settings");
    const layers = layersOf(app, this.#closures);
    const unset = peek(settings, "@@symbol:trust_proxy_default") === true;
    return {
      kind: "app",
      name: "app",
      index: place.index,
      path: place.path,
      facts: {
        trustProxy: unset ? "unset" : peek(settings, "trust proxy") === true ? "all" : "set",
        ...(Array.isArray(peek(peek(app, "_router"), "stack")) && { express: 4 }),
      },
      ...this.#inside(layers ?? [], app, place),
    };
  }

  #inside(
    layers: readonly Layer[],
    owner: unknown,
    { index, path, within }: Place,
  ): Pick<PipelineNode, "children" | "unseen"> {
    if (within.includes(owner)) return { children: [], unseen: "it is mounted within itself" };
    if (within.length >= MAX_DEPTH) return { children: [], unseen: `it stands more than ${MAX_DEPTH} deep` };
    return {
      children: layers.map((layer, i) =>
        this.#layer(layer, { index: inner(index, i), path, within: [...within, owner] }),
      ),
    };
  }

  #layer(layer: Layer, outer: Place): PipelineNode {
    if (layer.route !== undefined && layer.route !== null) return this.#route(layer.route, outer);
    const mount = mountPath(layer, this.#closures) ?? `/(?${++this.#unknown})`;
    return this.#handler(layer.handle, { ...outer, path: joinPaths(outer.path, mount) });
  }

  #route(route: NonNullable<Layer["route"]>, outer: Place): PipelineNode {
    const path = joinPaths(outer.path, pathText(route.path));
    const named = Object.keys(route.methods ?? {});
    const isAll = named.includes("_all") || named.length >= MANY_METHODS;
    const methods = isAll ? ["ALL"] : named.map((name) => name.toUpperCase());
    const layers = (route.stack ?? []).filter(
      ({ method }) => named.length < MANY_METHODS || method === undefined || method === named[0],
    );
    const children = layers.map((layer, i) => {
      const node = this.#handler(layer.handle, { ...outer, index: inner(outer.index, i), path });
      return methods.length > 1 && layer.method ? { ...node, methods: [layer.method.toUpperCase()] } : node;
    });
    return { kind: "route", name: pathText(route.path), index: outer.index, path, methods, children };
  }

  #handler(handler: unknown, place: Place): PipelineNode {
    const { index, path } = place;
    const said = peek(handler, "name");
    const name = typeof said === "string" && said !== "" ? said : "<anonymous>";
    if (isApp(handler)) return this.app(handler, place);
    if (name === "mounted_app") return this.#mountedApp(handler, place);
    const stack = peek(handler, "stack");
    if (Array.isArray(stack)) {
      return { kind: "router", name: "router", index, path, ...this.#inside(stack, handler, place) };
    }
    const kind = peek(handler, "length") === 4 ? "error handler" : "middleware";
    const members = membersOf(handler);
    const identity = identify(handler, this.#closures);
    if (members === undefined) return { kind, name, index, path, ...identity, children: [] };
    const composed = /^(?:chain|when|unless)(?=\()/.exec(name)?.[0];
    return {
      kind,
      name: composed ?? name,
      index,
      path,
      ...identity,
      facts: { ...identity.facts, composed: composed ?? "wrap" },
      children: members.map((member, i) => this.#handler(member, { ...place, index: inner(index, i) })),
    };
  }

  #mountedApp(handler: unknown, place: Place): PipelineNode {
    const app = this.#closures.read(handler, ["fn"])?.fn;
    if (isApp(app)) return this.app(app, place);
    const { index, path } = place;
    return { kind: "app", name: "mounted_app", index, path, children: [], unseen: UNREADABLE };
  }
}

function inner(index: string, i: number): string {
  return index === "" ? String(i + 1) : `${index}.${i + 1}`;
}

/** Express 4 puts two of its own before all others. */
function layersOf(app: unknown, closures: ClosureReader): Layer[] | undefined {
  const old = peek(peek(app, "_router"), "stack");
  if (Array.isArray(old)) {
    return (old as Layer[]).filter(({ name }, i) => i > 1 || !/^(?:query|expressInit)$/.test(name ?? ""));
  }
  // Of an app that is still empty, Express 5 makes the router when it is asked for it, with its settings of that time.
  const getter = Object.getOwnPropertyDescriptor(app as object, "router")?.get;
  const held = getter === undefined ? undefined : closures.read(getter, ["router"]);
  if (held !== undefined && "router" in held && held.router === null) return undefined;
  const stack = peek(peek(app, "router"), "stack");
  return Array.isArray(stack) ? (stack as Layer[]) : undefined;
}
