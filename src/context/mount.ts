/** A router's layer. What it has of its path is another thing in each version of Express. */
export interface Layer {
  readonly route?: unknown;
  readonly handle?: unknown;
  /** Express 5 with router 2.3: the path as it was given. */
  readonly rawPath?: unknown;
  /** Mounted at the root: the fast path of router 2, and of Express 4. */
  readonly slash?: boolean;
  readonly regexp?: RegExp & { readonly fast_slash?: boolean };
  readonly keys?: readonly { readonly name: string | number }[];
  readonly matchers?: readonly Matcher[];
}

type Matcher = (path: string) => false | { readonly path: string; readonly params: Params };
type Params = Readonly<Record<string, unknown>>;

export interface Mount {
  readonly template: string | undefined;
  /** Whether the path is one of this mount's. */
  readonly matched: boolean;
  /** What of the path is left for what is mounted. */
  readonly rest: string | undefined;
}

/** The template of the path that a layer stands at; `path` is the part of the request's path that it was shown. */
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

/** The parameters of another path of the same mount; undefined if it is not one. */
type Again = (path: string) => Params | undefined;

/** Not `layer.match`: before router 2.3 it keeps what it found on the layer, which other requests may be using. */
function matchOf(layer: Layer, path: string): Match | undefined {
  for (const matcher of layer.matchers ?? []) {
    const found = matcher(path);
    if (found === false) continue;
    const isText = layer.rawPath !== undefined || matcher.name === "match"; // else it was made of a RegExp
    const again: Again = (other) => {
      const result = matcher(other);
      return isText && result !== false && result.path === other ? result.params : undefined;
    };
    return { path: found.path, params: found.params, again };
  }
  return layer.regexp === undefined ? undefined : matchOf4(layer.regexp, layer.keys ?? [], path);
}

/** Express 4 makes every path a RegExp; those it made itself end in the same way, and contain what is literal. */
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

/** No client sends it by chance, and no path has it as a literal. */
const PROBE = "zq9~probe~9qz";

/**
 * Before router 2.3 the path of a mount is not kept. It can be found out: a segment that may be replaced by anything
 * is a parameter, and the one that then changes is its name. Undefined where that does not explain every parameter.
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
    // The same in any case for the app: not the client's choice in the log.
    const folded = segment.toLowerCase();
    return again(segments.with(i, folded).join("/")) === undefined ? segment : folded;
  });
  return unexplained.size === 0 ? template.join("/") : undefined;
}

/** A path as it was given to Express: text, a RegExp, or a list of these. */
export function templateOfPath(path: unknown): string {
  if (!Array.isArray(path)) return String(path);
  const parts = path.flat(Number.POSITIVE_INFINITY).map(String);
  return parts.length === 1 ? parts[0]! : `(${parts.join("|")})`;
}
