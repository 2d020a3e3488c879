import { peek } from "../values/thrown.js";
import { type Layer, NO_VARIABLES, type Params, type VariableReader } from "./app.js";

/**
 * The template of the path that a layer is mounted at; undefined if it cannot be found. A RegExp that cannot be made a
 * template again is shown as it is.
 */
export function mountPath(layer: Layer, variables: VariableReader): string | undefined {
  return templateKept(layer, variables) ?? (layer.regexp && textOfRegExp(layer.regexp.source));
}

/** Router 2.3 keeps the path, Express 4 a RegExp made from it; router 2.0 to 2.2 keep it only in variables of functions. */
function templateKept(layer: Layer, variables: VariableReader): string | undefined {
  if (isAtRoot(layer)) return "/";
  if (layer.rawPath !== undefined) return pathText(layer.rawPath);
  if (layer.regexp !== undefined) return templateOfRegExp(layer.regexp.source, namesOf(layer.keys));
  return templateInVariables(layer, variables);
}

export function isAtRoot(layer: Layer): boolean {
  return layer.slash === true || layer.regexp?.fast_slash === true;
}

function templateInVariables({ matchers = [] }: Layer, variables: VariableReader): string | undefined {
  const paths = matchers.map((matcher) => {
    const held = variables.read(matcher, ["_path", "regexp", "keys"]);
    if (held?._path !== undefined) return String(held._path);
    const source = peek(held?.regexp, "source");
    return typeof source === "string" ? templateOfRegExp(source, namesOf(held?.keys)) : undefined;
  });
  return paths.length === 0 || paths.includes(undefined) ? undefined : pathText(paths);
}

function namesOf(keys: unknown): string[] {
  return Array.isArray(keys) ? keys.map((key) => String(peek(key, "name"))) : [];
}

/** A path as it was given to Express: text, a RegExp, or a list of these. */
export function pathText(path: unknown): string {
  if (!Array.isArray(path)) return String(path);
  const parts = path.flat(Number.POSITIVE_INFINITY).map(String);
  return parts.length === 1 ? parts[0]! : `(${parts.join("|")})`;
}

export function joinPaths(outer: string, inner: string): string {
  if (inner === "" || inner === "/") return outer === "" ? "/" : outer;
  return (outer.endsWith("/") ? outer.slice(0, -1) : outer) + inner;
}

/** The end of a RegExp that Express has made. */
const OWN_END = "(?=\\/|$)";

function textOfRegExp(source: string): string | undefined {
  return /^\^?\\\//.test(source) ? `/${source}/` : undefined;
}

/** The template from which Express 4, or router 2.0 to 2.2, made a RegExp. A RegExp that the app gave stays as it is. */
export function templateOfRegExp(source: string, keys: readonly string[]): string | undefined {
  // A parameter that follows text, as in /v:version.
  const plain = source.replace(/\(\?:\(\(\?:\(\?!\\\/\|[^()|]*\)\.\)\+\?\)\)/g, "([^\\/]+)");
  const body =
    /^\^((?:\\[^|]|[^|\\])*?)\\\/\?\(\?=\\\/\|\$\)$/.exec(plain)?.[1] ??
    /^\^\(\?:(.*)\)\(\?:\\\/\$\)\?\(\?=\\\/\|\$\)$/.exec(source)?.[1];
  if (body === undefined) return source.endsWith(OWN_END) ? undefined : textOfRegExp(source);
  let next = 0;
  const named = body
    .replace(/\(\?:\\\/\(\[\^\/\]\+\?\)\)/g, () => `/:${keys[next++] ?? "?"}`)
    .replace(/\(\[\^\\\/\]\+\)/g, () => `:${keys[next++] ?? "?"}`)
    .replace(/\(\[\^\]\+\)/g, () => `*${keys[next++] ?? ""}`)
    .replace(/\(\.\*\)/g, "*");
  const text = named.replace(/\\([^\w])/g, "$1");
  return /\\|[()[\]|?+^$]/.test(named.replace(/\\[^\w]/g, "")) ? undefined : text || "/";
}

/** What a layer makes of one path. */
export interface Mount {
  readonly template: string | undefined;
  readonly matched: boolean;
  /** The rest of the path, for what is mounted there. */
  readonly rest: string | undefined;
}

/** @param path the part of the request's path that the layer was matched with */
export function mountOf(layer: Layer, path: string | undefined): Mount {
  if (isAtRoot(layer)) return { template: "/", matched: true, rest: path };
  const match = path === undefined ? undefined : matchOf(layer, path);
  const rest = path === undefined || match === undefined ? undefined : path.slice(match.path.length) || "/";
  const template =
    templateKept(layer, NO_VARIABLES) ?? (match && deriveTemplate(match.path, match.params, match.tryPath));
  return { template, matched: match !== undefined, rest };
}

interface Match {
  readonly path: string;
  readonly params: Params;
  readonly tryPath: TryPath;
}

/** The parameters that the mount finds in another path; undefined if it does not match. */
type TryPath = (path: string) => Params | undefined;

/** Does not call `layer.match`: before router 2.3 it changes the layer, which other requests may be using. */
function matchOf(layer: Layer, path: string): Match | undefined {
  for (const matcher of layer.matchers ?? []) {
    const found = matcher(path);
    if (found === false) continue;
    const isText = layer.rawPath !== undefined || matcher.name === "match"; // if not, it was made from a RegExp
    const tryPath: TryPath = (other) => {
      const result = matcher(other);
      return isText && result !== false && result.path === other ? result.params : undefined;
    };
    return { path: found.path, params: found.params, tryPath };
  }
  return layer.regexp === undefined ? undefined : matchOfRegExp(layer.regexp, layer.keys ?? [], path);
}

/** Express 4 makes a RegExp of every path. Those made from text can be recognised by their beginning and end. */
function matchOfRegExp(
  regexp: RegExp,
  keys: readonly { readonly name: string | number }[],
  path: string,
): Match | undefined {
  const paramsOf = (match: RegExpExecArray): Params =>
    Object.fromEntries(keys.map(({ name }, i) => [name, match[i + 1]]));
  const found = regexp.exec(path);
  if (found === null) return undefined;
  const isText = regexp.source.startsWith("^\\/") && regexp.source.endsWith("\\/?(?=\\/|$)");
  const tryPath: TryPath = (other) => {
    const match = isText ? regexp.exec(other) : null;
    return match !== null && match[0] === other ? paramsOf(match) : undefined;
  };
  return { path: found[0], params: paramsOf(found), tryPath };
}

/** A segment that no client sends by chance and no path contains. */
const PROBE = "zq9~probe~9qz";

/**
 * Finds the template of a mount by trying other paths. A segment that can be replaced by anything is a parameter; its
 * name is that of the parameter that then changes. Undefined if this does not explain all parameters.
 */
export function deriveTemplate(path: string, params: Params, tryPath: TryPath): string | undefined {
  const plain = path.endsWith("/") ? path.slice(0, -1) : path;
  if (tryPath(plain) === undefined) return undefined;
  const segments = plain.split("/");
  const unexplained = new Set(Object.keys(params).filter((name) => params[name] !== undefined));
  const template = segments.map((segment, i) => {
    const probed = tryPath(segments.with(i, PROBE).join("/"));
    const name = probed && Object.keys(probed).find((key) => probed[key] === PROBE);
    if (name !== undefined && unexplained.delete(name)) return `:${name}`;
    // Where the app ignores case, use lower case: the client must not choose what the log shows.
    const lower = segment.toLowerCase();
    return tryPath(segments.with(i, lower).join("/")) === undefined ? segment : lower;
  });
  return unexplained.size === 0 ? template.join("/") : undefined;
}
