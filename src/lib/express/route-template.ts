import type { IncomingMessage } from "node:http";
import { pathOf } from "../http/target.js";
import { peek } from "../values/thrown.js";
import { appsAround, type Layer, layersOfApp, layersOfRouter, type Route } from "./app.js";
import { joinPaths, mountOf, pathText } from "./mount-path.js";

type Routed = IncomingMessage & { readonly route?: Route; readonly app?: unknown };

/** The layers of the routers around a route, from the outermost to the innermost. */
type Way = readonly Layer[];

/** The templates that were found: once a route has answered, its place in the app does not change. */
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
    return findTemplate(req, route, mounted) ?? findTemplate(req, route, (req as Routed).app);
  } catch {
    return undefined; // a router that only looks like Express's
  }
}

function findTemplate(req: IncomingMessage, route: Route, app: unknown): string | undefined {
  const layers = layersOfApp(app);
  if (layers === undefined) return undefined;
  const ways: Way[] = [];
  collect(route, layers, [], ways);
  if (ways.length === 0) return undefined;
  const outer = mountOfApp(app);
  const several = ways.length > 1;
  for (const way of ways) {
    const mounts = templateOf(way, outer === "" ? pathOf(req) : undefined, several);
    if (mounts === undefined) continue;
    const template = joinPaths(outer + mounts, pathText(route.path));
    if (!several) known.set(route, template);
    return template;
  }
  return undefined;
}

/** Finds all ways to the route. A router that is mounted in itself is not entered again. */
function collect(route: Route, layers: readonly Layer[], way: Way, found: Way[]): void {
  for (const layer of layers) {
    if (layer.route === route) found.push(way);
    else if (layer.route === undefined) {
      const inner = layersOfRouter(layer.handle) ?? layersOfApp(layer.handle);
      if (inner !== undefined && !way.includes(layer)) collect(route, inner, [...way, layer], found);
    }
  }
}

/** The templates of the layers on a way; undefined if one is unknown, or if the request did not come this way. */
function templateOf(way: Way, path: string | undefined, several: boolean): string | undefined {
  let template = "";
  let rest = path;
  for (const layer of way) {
    const mount = mountOf(layer, rest);
    if (mount.template === undefined || (several && !mount.matched)) return undefined;
    template = joinPaths(template, mount.template);
    rest = mount.rest;
  }
  return template === "/" ? "" : template;
}

/** The mount path of an app in its parents. */
function mountOfApp(app: unknown): string {
  const mounted = appsAround(app).slice(0, -1);
  const mounts = mounted.reduce(
    (inner: string, one) => joinPaths(pathText(peek(one, "mountpath")), inner),
    "",
  );
  return mounts === "/" ? "" : mounts;
}
