import {
  appInHandler,
  isApp,
  isExpress4,
  isMountedApp,
  isWithoutRouter,
  type Layer,
  layersOfApp,
  layersOfRouter,
  originalOf,
  type Route,
  readRoute,
  trustProxyOf,
  type VariableReader,
  withoutBuiltIn,
} from "../../src/lib/express/app.js";
import { membersOf } from "../../src/lib/express/handler.js";
import { joinPaths, mountPath, pathText } from "../../src/lib/express/mount-path.js";
import { peek } from "../../src/lib/values/thrown.js";
import { identify } from "./identify.js";
import type { PipelineNode } from "./pipeline.js";

interface Place {
  readonly index: string;
  readonly path: string;
  /** What is being read, the outermost first: a router mounted in itself is not entered again. */
  readonly within: readonly unknown[];
}

const MAX_DEPTH = 32;
const UNREADABLE =
  "Express keeps a mounted app in a variable, which only Node's inspector can read; check it by itself";

/** Reads the middleware of an app, and runs nothing of it. */
export class Reader {
  #unknown = 0;

  /**
   * @param variables reads mounted apps, and some paths
   * @param passed the apps that a request has come through, which have a router. Other apps are read only if `variables`
   *   shows whether they have one
   */
  constructor(
    private readonly variables: VariableReader,
    private readonly passed?: readonly unknown[],
  ) {}

  app(app: unknown, place: Place = { index: "", path: "/", within: [] }): PipelineNode {
    const { index, path } = place;
    const isEmpty = this.passed?.includes(app) ? false : isWithoutRouter(app, this.variables);
    if (isEmpty === undefined && this.passed !== undefined) return unreadable(place);
    const layers = isEmpty ? [] : withoutBuiltIn(layersOfApp(app) ?? []);
    return {
      kind: "app",
      name: "app",
      index,
      path,
      details: { trustProxy: trustProxyOf(app), ...(isExpress4(app) && { express: 4 }) },
      ...this.#inside(layers, app, place),
    };
  }

  #inside(
    layers: readonly Layer[],
    owner: unknown,
    { index, path, within }: Place,
  ): Pick<PipelineNode, "children" | "unseen"> {
    if (within.includes(owner)) return { children: [], unseen: "it is mounted within itself" };
    if (within.length >= MAX_DEPTH)
      return { children: [], unseen: `it is more than ${MAX_DEPTH} levels deep` };
    return {
      children: layers.map((layer, i) =>
        this.#layer(layer, layers, { index: inner(index, i), path, within: [...within, owner] }),
      ),
    };
  }

  #layer(layer: Layer, siblings: readonly Layer[], outer: Place): PipelineNode {
    if (layer.route !== undefined && layer.route !== null) return this.#route(layer.route, outer);
    const isMounted = isMountedApp(layer.handle);
    const app = isMounted ? this.#appOf(layer, siblings, outer.within.at(-1)) : undefined;
    const mount =
      mountPath(layer, this.variables) ??
      (app === undefined ? `/(?${++this.#unknown})` : pathText(peek(app, "mountpath")));
    const place = { ...outer, path: joinPaths(outer.path, mount) };
    if (!isMounted) return this.#handler(layer.handle, place);
    return app === undefined ? unreadable(place) : this.app(app, place);
  }

  /**
   * The app that a layer mounts: the one in its handler's variable; if that cannot be read, the app that the request came
   * through, if no other layer can mount it.
   */
  #appOf(layer: Layer, siblings: readonly Layer[], owner: unknown): unknown {
    const known = appInHandler(layer.handle, this.variables);
    if (known !== undefined) return known;
    const passed = this.passed?.find((app) => peek(app, "parent") === owner);
    if (passed === undefined) return undefined;
    const path = pathText(peek(passed, "mountpath"));
    const isPossible = (one: Layer) =>
      withoutSlash(mountPath(one, this.variables) ?? path) === withoutSlash(path);
    const possible = siblings.filter((one) => isMountedApp(one.handle) && isPossible(one));
    return possible.length === 1 && possible[0] === layer ? passed : undefined;
  }

  #route(route: Route, outer: Place): PipelineNode {
    const path = joinPaths(outer.path, pathText(route.path));
    const { methods, layers } = readRoute(route);
    const children = layers.map((layer, i) => {
      const node = this.#handler(layer.handle, { ...outer, index: inner(outer.index, i), path });
      return methods.length > 1 && layer.method ? { ...node, methods: [layer.method.toUpperCase()] } : node;
    });
    return { kind: "route", name: pathText(route.path), index: outer.index, path, methods, children };
  }

  #handler(given: unknown, place: Place): PipelineNode {
    const handler = originalOf(given);
    const { index, path } = place;
    if (isApp(handler)) return this.app(handler, place);
    const layers = layersOfRouter(handler);
    if (layers !== undefined) {
      return { kind: "router", name: "router", index, path, ...this.#inside(layers, handler, place) };
    }
    const ownName = peek(handler, "name");
    const name = typeof ownName === "string" && ownName !== "" ? ownName : "<anonymous>";
    const kind = peek(handler, "length") === 4 ? "error handler" : "middleware";
    const members = membersOf(handler);
    const identity = identify(handler, this.variables);
    if (members === undefined) return { kind, name, index, path, ...identity, children: [] };
    const composed = /^(?:chain|when|unless)(?=\()/.exec(name)?.[0];
    return {
      kind,
      name: composed ?? name,
      index,
      path,
      ...identity,
      details: { ...identity.details, composed: composed ?? "wrap" },
      children: members.map((member, i) => this.#handler(member, { ...place, index: inner(index, i) })),
    };
  }
}

function unreadable({ index, path }: Place): PipelineNode {
  return { kind: "app", name: "mounted_app", index, path, children: [], unseen: UNREADABLE };
}

function withoutSlash(path: string): string {
  return path.endsWith("/") ? path.slice(0, -1) : path;
}

function inner(index: string, i: number): string {
  return index === "" ? String(i + 1) : `${index}.${i + 1}`;
}
