import { peek } from "../values/thrown.js";
import { isApp, isMountedApp, type Layer, layersOfRouter, NO_VARIABLES, readRoute } from "./app.js";
import { handlerInfo } from "./handler.js";
import { mountPath, pathText } from "./mount-path.js";

/** What a layer is. */
export interface LayerInfo {
  readonly kind: "middleware" | "error handler" | "router" | "route" | "app";
  /** The name of the function; empty if it has none. */
  readonly name: string;
  /** The template of its own path, without those around it. */
  readonly path: string;
  /** Of a handler of this package: `cors`, `auth`. */
  readonly concern: string | undefined;
}

export function layerInfo(layer: Layer): LayerInfo {
  const { handle, route } = layer;
  if (route) {
    const { methods } = readRoute(route);
    return { kind: "route", name: methods.join(", "), path: pathText(route.path), concern: undefined };
  }
  // A layer of a route has no path of its own.
  const path =
    layer.method === undefined || layer.rawPath !== undefined ? mountPath(layer, NO_VARIABLES) : "/";
  const name = String(peek(handle, "name") ?? "");
  return { kind: kindOf(handle), name, path: path ?? "", concern: handlerInfo(handle)?.concern };
}

function kindOf(handle: unknown): LayerInfo["kind"] {
  if (isMountedApp(handle) || isApp(handle)) return "app";
  if (layersOfRouter(handle) !== undefined) return "router";
  return peek(handle, "length") === 4 ? "error handler" : "middleware";
}
