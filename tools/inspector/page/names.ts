import type { Call, Detail, Failure, Summary } from "../report.js";

/** Without the route, which is shown beside it. */
export function shortName(name: string | undefined): string {
  if (name === undefined) return "nobody";
  if (name.startsWith("the handler of ")) return "handler";
  return name.replace(/^an (upgrade listener) of the server$/, "$1").replace(/ of [A-Z, ]+ \S+$/, "");
}

/** Who debugs asks who threw: a promise that rejects is the same to them. The decision tells these apart. */
export function failureText({ name, how, type }: Failure): string {
  return `${shortName(name)} ${how === "rejected with" ? "threw" : how} ${type}`;
}

/** Of the route that is shown, only its handler's name. */
export function answererText({ answeredBy, path, route, method }: Summary): string {
  if (answeredBy?.endsWith(` of ${method} ${route ?? path}`)) return shortName(answeredBy);
  return answeredBy ?? "nobody";
}

/** As the server names them in its sentences. */
export function layerName({ name, parent }: Call, calls: Detail["calls"]): string {
  return name || (isOfRoute(calls, parent) ? "handler" : "an unnamed function");
}

function isOfRoute(calls: Detail["calls"], parent: number): boolean {
  const around = calls[parent];
  return around?.kind === "chain" ? isOfRoute(calls, around.parent) : around?.kind === "route";
}

/** Of a frame: what it is. */
export function frameName({ kind, name, parent }: Call): string {
  if (parent === -1) return kind;
  if (kind === "route") return `route ${name}`;
  // The names of the members are below.
  if (kind === "chain") return name.startsWith("chain(") ? "chain" : name;
  return kind;
}

/** What is no mere frame around other layers. */
export function isOwn(kind: Call["kind"]): boolean {
  return kind === "middleware" || kind === "error handler" || kind === "upgrade listener";
}
