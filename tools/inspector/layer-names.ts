import type { RecordedCall } from "./call.js";

/** With the route or the path that it is mounted at. */
export function nameOf({ layer, path, index, around }: RecordedCall): string {
  if (index === 0) return "Express";
  const route = routeAround(around);
  if (route !== undefined) {
    const of = `${route.layer.name} ${path}`;
    return layer.name === "" ? `the handler of ${of}` : `${layer.name} of ${of}`;
  }
  const name = layer.kind === "router" ? "a router" : layer.name || "an unnamed function";
  return path === "/" || path === "" ? name : `${name} (${path})`;
}

/** For sentences about a request, which has one route. */
export function shortNameOf({ layer, index, around }: RecordedCall): string {
  if (index === 0) return "Express";
  return layer.name || (routeAround(around) ? "the handler" : "an unnamed function");
}

/** Where it is in the drawing: `layer 9, after loadSession`. */
export function positionOf({ index }: RecordedCall, calls: readonly RecordedCall[]): string {
  const before = calls.slice(1, index).findLast(({ layer }) => IS_OWN.has(layer.kind));
  return `layer ${index}${before === undefined ? "" : `, after ${shortNameOf(before)}`}`;
}

/** Routers, routes, chains and apps are frames around layers. */
const IS_OWN: ReadonlySet<string> = new Set(["middleware", "error handler"]);

/** The route that it is a handler of, directly or as a member of a chain. */
function routeAround(around: RecordedCall | undefined): RecordedCall | undefined {
  if (around?.layer.kind === "chain") return routeAround(around.around);
  return around?.layer.kind === "route" ? around : undefined;
}
