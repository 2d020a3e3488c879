import type { IncomingMessage } from "node:http";
import { pathOf } from "../lib/http/target.js";
import { peek } from "../lib/values/thrown.js";
import { type Layer, mountOf, templateOfPath } from "./mount.js";

interface Route {
  readonly path: unknown;
}

/** An Express app with its router (`_router` in Express 4, where reading `router` throws). */
interface App {
  readonly _router?: unknown;
  readonly router?: unknown;
  readonly mountpath?: string | readonly string[];
  readonly parent?: App;
}

type Routed = IncomingMessage & { readonly route?: Route; readonly app?: App };

/** The layers of the routers around a route, from the outermost to the innermost. */
type Way = readonly Layer[];

/** The templates that were found: a route does not move once it has answered. */
const known = new WeakMap<Route, string>();

/**
 * The template of the route that answered, with those of the routers around it (`/api/:tenant/item/:id`). Express itself
 * has only the route's own part; its `baseUrl` is a part of the request's path. Undefined if no route matched, or if the
 * template cannot be found.
 *
 * @param mounted the app in which the search begins
 */
export function routeOf(req: IncomingMessage, mounted: unknown): string | undefined {
  const { route } = req as Routed;
  if (typeof route !== "object" || route === null) return undefined;
  const cached = known.get(route);
  if (cached !== undefined) return cached;
  try {
    return (
      findTemplate(req, route, mounted as App | undefined) ?? findTemplate(req, route, (req as Routed).app)
    );
  } catch {
    return undefined; // a router that only looks like Express's
  }
}

function findTemplate(req: IncomingMessage, route: Route, app: App | undefined): string | undefined {
  const stack = stackOf(app);
  if (stack === undefined) return undefined;
  const ways: Way[] = [];
  collect(route, stack, [], ways);
  if (ways.length === 0) return undefined;
  const outer = mountOfApp(app);
  const several = ways.length > 1;
  for (const way of ways) {
    const mounts = templateOf(way, outer === "" ? pathOf(req) : undefined, several);
    if (mounts === undefined) continue;
    const template = join(outer + mounts, templateOfPath(route.path));
    if (!several) known.set(route, template);
    return template;
  }
  return undefined;
}

const MAX_DEPTH = 32;

/** Finds all ways to the route. A router that is mounted in itself is not entered again. */
function collect(route: Route, stack: readonly Layer[], way: Way, found: Way[]): void {
  for (const layer of stack) {
    if (layer.route === route) found.push(way);
    else if (layer.route === undefined) {
      const inner = (peek(layer.handle, "stack") as Layer[] | undefined) ?? stackOf(layer.handle);
      if (Array.isArray(inner) && !way.includes(layer)) collect(route, inner, [...way, layer], found);
    }
  }
}

function stackOf(app: unknown): Layer[] | undefined {
  const stack = peek(peek(app, "_router") ?? peek(app, "router"), "stack");
  return Array.isArray(stack) ? stack : undefined;
}

/** The templates of the layers on a way; undefined if one is unknown, or if the request did not come this way. */
function templateOf(way: Way, path: string | undefined, several: boolean): string | undefined {
  let template = "";
  let rest = path;
  for (const layer of way) {
    const mount = mountOf(layer, rest);
    if (mount.template === undefined || (several && !mount.matched)) return undefined;
    template = join(template, mount.template);
    rest = mount.rest;
  }
  return template === "/" ? "" : template;
}

/** The mount path of an app in its parents. */
function mountOfApp(app: App | undefined): string {
  let mounts = "";
  let at = app;
  for (let depth = 0; at?.parent !== undefined && depth < MAX_DEPTH; depth++) {
    mounts = join(templateOfPath(at.mountpath), mounts);
    at = at.parent;
  }
  return mounts === "/" ? "" : mounts;
}

function join(outer: string, inner: string): string {
  if (inner === "" || inner === "/") return outer === "" ? "/" : outer;
  return (outer.endsWith("/") ? outer.slice(0, -1) : outer) + inner;
}
