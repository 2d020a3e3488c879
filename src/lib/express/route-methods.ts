import type { IncomingMessage } from "node:http";
import { pathOf } from "../http/target.js";
import { peek } from "../values/thrown.js";
import { appsAround, type Layer, layersOfApp, layersOfRouter, readRoute } from "./app.js";
import { isAtRoot, mountOf } from "./mount-path.js";

type Routed = IncomingMessage & { readonly app?: unknown; readonly baseUrl?: string };

/**
 * The methods that routes of the request's app have for its path, in the order of the routes. `app.all` and `app.use` are
 * no routes. Apps that are mounted on it are not seen: Express keeps them in a variable of a function.
 */
export function methodsOf(req: IncomingMessage): ReadonlySet<string> {
  const methods = new Set<string>();
  try {
    const { app } = req as Routed;
    collect(layersOfApp(app) ?? [], pathInApp(req as Routed, app), methods, []);
  } catch {
    // A router that only looks like Express's.
  }
  return methods;
}

function collect(
  layers: readonly Layer[],
  path: string,
  methods: Set<string>,
  around: readonly Layer[],
): void {
  for (const layer of layers) {
    if (layer.route !== undefined) {
      if (!matches(layer, path)) continue;
      for (const method of readRoute(layer.route).methods) if (method !== "ALL") methods.add(method);
      continue;
    }
    const inner = layersOfRouter(layer.handle);
    if (inner === undefined || around.includes(layer)) continue;
    const { matched, rest } = mountOf(layer, path);
    if (matched && rest !== undefined)
      collect(inner, rest.startsWith("/") ? rest : `/${rest}`, methods, [...around, layer]);
  }
}

/** Whether a route is for this path. A path with a parameter that cannot be decoded matches no route. */
function matches(layer: Layer, path: string): boolean {
  if (layer.regexp !== undefined) return layer.regexp.exec(path) !== null;
  try {
    return isAtRoot(layer) || (layer.matchers ?? []).some((matcher) => matcher(path) !== false);
  } catch {
    return false;
  }
}

/** The request's path without the part that the app is mounted at. */
function pathInApp(req: Routed, app: unknown): string {
  const mounts = appsAround(app)
    .slice(0, -1)
    .map((one) => peek(one, "mountpath"));
  const path = pathOf(req);
  if (mounts.length === 0) return path;
  const isPlain = mounts.every((mount) => typeof mount === "string" && !/[*(){}?+]/.test(mount));
  const depth = mounts.join("/").split("/").filter(Boolean).length;
  const prefix = isPlain ? path.split("/", depth + 1).join("/") : (req.baseUrl ?? "");
  return path.slice(prefix.length) || "/";
}
