/** A router's layer. Each version of Express keeps the path in another way. */
export interface Layer {
  readonly route?: unknown;
  readonly handle?: unknown;
  /** Express 5 with router 2.3 or later: the path as it was given. */
  readonly rawPath?: unknown;
  /** Mounted at the root: the fast path of router 2 and of Express 4. */
  readonly slash?: boolean;
  readonly regexp?: RegExp & { readonly fast_slash?: boolean };
  readonly keys?: readonly { readonly name: string | number }[];
  readonly matchers?: readonly Matcher[];
}

type Matcher = (path: string) => false | { readonly path: string; readonly params: Params };
type Params = Readonly<Record<string, unknown>>;

export interface Mount {
  readonly template: string | undefined;
  /** Whether the path matches this mount. */
  readonly matched: boolean;
  /** The rest of the path, for what is mounted. */
  readonly rest: string | undefined;
}

/** The template of a layer's mount path; `path` is the part of the request's path that the layer was given. */
export function mountOf(layer: Layer, path: string | undefined): Mount {
  if (layer.slash || layer.regexp?.fast_slash) return { template: "", matched: true, rest: path };
  const match = path === undefined ? undefined : matchOf(layer, path);
  const matched = match !== undefined;
  const rest = path === undefined || match === undefined ? undefined : path.slice(match.path.length) || "/";
  const template =
    layer.rawPath !== undefined
      ? templateOfPath(layer.rawPath)
      : match && deriveTemplate(match.path, match.params, match.again);
  return { template, matched, rest };
}

interface Match {
  readonly path: string;
  readonly params: Params;
  readonly again: Again;
}

/** The parameters that the mount finds in another path; undefined if it does not match. */
type Again = (path: string) => Params | undefined;

/** Does not call `layer.match`: before router 2.3 it changes the layer, which other requests may be using. */
function matchOf(layer: Layer, path: string): Match | undefined {
  for (const matcher of layer.matchers ?? []) {
    const found = matcher(path);
    if (found === false) continue;
    const isText = layer.rawPath !== undefined || matcher.name === "match"; // if not, it was made from a RegExp
    const again: Again = (other) => {
      const result = matcher(other);
      return isText && result !== false && result.path === other ? result.params : undefined;
    };
    return { path: found.path, params: found.params, again };
  }
  return layer.regexp === undefined ? undefined : matchOf4(layer.regexp, layer.keys ?? [], path);
}

/** Express 4 makes a RegExp of every path. Those made from text can be recognized by their beginning and end. */
function matchOf4(
  regexp: RegExp,
  keys: readonly { readonly name: string | number }[],
  path: string,
): Match | undefined {
  const paramsOf = (match: RegExpExecArray): Params =>
    Object.fromEntries(keys.map(({ name }, i) => [name, match[i + 1]]));
  const found = regexp.exec(path);
  if (found === null) return undefined;
  const isText = regexp.source.startsWith("^\\/") && regexp.source.endsWith("\\/?(?=\\/|$)");
  const again: Again = (other) => {
    const match = isText ? regexp.exec(other) : null;
    return match !== null && match[0] === other ? paramsOf(match) : undefined;
  };
  return { path: found[0], params: paramsOf(found), again };
}

/** A segment that no client sends by chance and no path contains. */
const PROBE = "zq9~probe~9qz";

/**
 * Finds the template of a mount by trying other paths, because before router 2.3 the layer does not keep it. A segment that
 * can be replaced by anything is a parameter; its name is that of the parameter that then changes. Undefined if this does
 * not explain all parameters.
 */
export function deriveTemplate(path: string, params: Params, again: Again): string | undefined {
  const plain = path.endsWith("/") ? path.slice(0, -1) : path;
  if (again(plain) === undefined) return undefined;
  const segments = plain.split("/");
  const unexplained = new Set(Object.keys(params).filter((name) => params[name] !== undefined));
  const template = segments.map((segment, i) => {
    const probed = again(segments.with(i, PROBE).join("/"));
    const name = probed && Object.keys(probed).find((key) => probed[key] === PROBE);
    if (name !== undefined && unexplained.delete(name)) return `:${name}`;
    // If the app ignores case, use lower case, so that the client does not decide what is logged.
    const folded = segment.toLowerCase();
    return again(segments.with(i, folded).join("/")) === undefined ? segment : folded;
  });
  return unexplained.size === 0 ? template.join("/") : undefined;
}

/** The template of a path as it was given to Express: text, a RegExp, or a list of these. */
export function templateOfPath(path: unknown): string {
  if (!Array.isArray(path)) return String(path);
  const parts = path.flat(Number.POSITIVE_INFINITY).map(String);
  return parts.length === 1 ? parts[0]! : `(${parts.join("|")})`;
}
