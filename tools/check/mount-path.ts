import { peek } from "../../src/lib/values/thrown.js";
import type { ClosureReader } from "./closure.js";

/** What of a layer tells its path: another thing in each version of Express. */
export interface Layer {
  readonly handle?: unknown;
  readonly name?: string;
  readonly method?: string;
  readonly route?: {
    readonly path: unknown;
    readonly methods?: Readonly<Record<string, boolean>>;
    readonly stack?: Layer[];
  };
  /** Express 5 with router 2.3: the path as it was given. */
  readonly rawPath?: unknown;
  readonly slash?: boolean;
  readonly matchers?: readonly unknown[];
  /** Express 4. */
  readonly regexp?: RegExp & { readonly fast_slash?: boolean };
  readonly keys?: readonly { readonly name: string | number }[];
}

/** The template that a layer is mounted at; undefined if it cannot be told. */
export function mountPath(layer: Layer, closures: ClosureReader): string | undefined {
  if (layer.slash === true || layer.regexp?.fast_slash === true) return "/";
  if (layer.rawPath !== undefined) return pathText(layer.rawPath);
  if (layer.regexp !== undefined) return templateOfRegExp(layer.regexp.source, names(layer.keys));
  const paths = (layer.matchers ?? []).map((matcher) => {
    const held = closures.read(matcher, ["_path", "regexp", "keys"]);
    if (held?._path !== undefined) return String(held._path);
    const source = peek(held?.regexp, "source");
    return typeof source === "string" ? templateOfRegExp(source, names(held?.keys)) : undefined;
  });
  if (paths.length === 0 || paths.includes(undefined)) return undefined;
  return pathText(paths);
}

function names(keys: unknown): string[] {
  return Array.isArray(keys) ? keys.map((key) => String(peek(key, "name"))) : [];
}

/** A path as it was given to Express: text, a RegExp, or a list of these. */
export function pathText(path: unknown): string {
  if (!Array.isArray(path)) return String(path);
  const parts = path.flat(Number.POSITIVE_INFINITY).map(String);
  return parts.length === 1 ? parts[0]! : `(${parts.join("|")})`;
}

/** What Express 4, and router 2 before 2.3, have made of a path, made a path again; a RegExp of the app's own stays one. */
export function templateOfRegExp(source: string, keys: readonly string[]): string | undefined {
  const body =
    /^\^((?:\\[^|]|[^|\\])*?)\\\/\?\(\?=\\\/\|\$\)$/.exec(source)?.[1] ??
    /^\^\(\?:(.*)\)\(\?:\\\/\$\)\?\(\?=\\\/\|\$\)$/.exec(source)?.[1];
  if (body === undefined) return /^\^?\\\//.test(source) ? `/${source}/` : undefined;
  let next = 0;
  const named = body
    .replace(/\(\?:\\\/\(\[\^\/\]\+\?\)\)/g, () => `/:${keys[next++] ?? "?"}`)
    .replace(/\(\[\^\\\/\]\+\)/g, () => `:${keys[next++] ?? "?"}`)
    .replace(/\(\[\^\]\+\)/g, () => `*${keys[next++] ?? ""}`)
    .replace(/\(\.\*\)/g, "*");
  const text = named.replace(/\\([^\w])/g, "$1");
  return /\\|[()[\]|?+^$]/.test(named.replace(/\\[^\w]/g, "")) ? undefined : text || "/";
}

export function joinPaths(outer: string, inner: string): string {
  if (inner === "" || inner === "/") return outer === "" ? "/" : outer;
  return (outer.endsWith("/") ? outer.slice(0, -1) : outer) + inner;
}
