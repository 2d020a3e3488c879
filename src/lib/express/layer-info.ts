import { peek } from "../values/thrown.js";
import {
  isApp,
  isMountedApp,
  type Layer,
  layersOfRouter,
  NO_VARIABLES,
  originalOf,
  readRoute,
} from "./app.js";
import { composedSteps, handlerInfo } from "./handler.js";
import { mountOf, mountPath, pathText } from "./mount-path.js";

/** What a layer, or a member of a `chain`, is. */
export interface LayerInfo {
  readonly kind: "middleware" | "error handler" | "chain" | "router" | "route" | "app";
  /** The name of the function; empty if it has none. */
  readonly name: string;
  /** Of a watched function without a name: the beginning of its code. */
  readonly source?: string | undefined;
  /** The template of its own path, without those around it; undefined if the router does not keep it. */
  readonly path: string | undefined;
  /** Finds the template with the part of a request's path that the layer was matched with. */
  readonly derivePath: ((matched: string) => string | undefined) | undefined;
  /** Of a handler of this package: `cors`, `auth`. */
  readonly concern: string | undefined;
  /** It is run by a handler (`chain`, `when`, `unless`), and not by Express. */
  readonly isMember: boolean;
}

const PLAIN = { derivePath: undefined, isMember: false };

export function layerInfo(layer: Layer): LayerInfo {
  const { route } = layer;
  const handle = originalOf(layer.handle);
  if (route) {
    const { methods } = readRoute(route);
    return {
      kind: "route",
      name: methods.join(", "),
      path: pathText(route.path),
      concern: undefined,
      ...PLAIN,
    };
  }
  // A layer of a route has no path of its own.
  const path =
    layer.method === undefined || layer.rawPath !== undefined ? mountPath(layer, NO_VARIABLES) : "/";
  return {
    ...handleInfo(handle),
    path,
    derivePath: (matched) => mountOf(layer, matched).template,
    isMember: false,
  };
}

export function memberInfo(member: unknown): LayerInfo {
  return { ...handleInfo(originalOf(member)), path: "/", derivePath: undefined, isMember: true };
}

function handleInfo(handle: unknown): Pick<LayerInfo, "kind" | "name" | "concern"> {
  const name = String(peek(handle, "name") ?? "");
  return { kind: kindOf(handle), name, concern: handlerInfo(handle)?.concern };
}

function kindOf(handle: unknown): LayerInfo["kind"] {
  if (isMountedApp(handle) || isApp(handle)) return "app";
  if (layersOfRouter(handle) !== undefined) return "router";
  if (composedSteps(handle) !== undefined) return "chain";
  return peek(handle, "length") === 4 ? "error handler" : "middleware";
}
