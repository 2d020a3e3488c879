import { isLoopback, parseOriginPattern } from "../lib/http/origin.js";
import { namesIn, regExpCredentialsProblem } from "./probe.js";

interface Context {
  readonly credentials: boolean;
  readonly allowInsecure: boolean;
}

/** The problem of a RegExp in `origin`, with a remedy; undefined if there is none. */
export function checkRegExp(pattern: RegExp, context: Context): string | undefined {
  const { credentials, allowInsecure } = context;
  const formProblem = regExpProblem(pattern);
  const problem = formProblem ?? (credentials ? regExpCredentialsProblem(pattern, allowInsecure) : undefined);
  if (problem === undefined) return noMatchAdvice(pattern, context);
  const remedies = [];
  const repaired = repair(pattern, context);
  if (repaired !== undefined) remedies.push(String(repaired));
  if (formProblem === undefined && !allowInsecure && regExpCredentialsProblem(pattern, true) === undefined) {
    remedies.push("allowInsecureOrigins: true");
  }
  if (remedies.length > 0) return `${problem}; write ${remedies.join(", or ")}`;
  if (/[gmy]/.test(pattern.flags)) return problem;
  return formProblem === undefined
    ? `${problem}; let it match only https: and your own domain with its subdomains`
    : `${problem}; begin it with ^ and the scheme, and end it with $`;
}

function noMatchAdvice(pattern: RegExp, context: Context): string | undefined {
  const problem = noMatchProblem(pattern);
  if (problem === undefined) return undefined;
  const source = pattern.source.replace(/(?:\\?\/|:443|:80)(?=\$(?:\||$))/g, "");
  const repaired = [pattern.flags, `${pattern.flags}i`]
    .map((flags) => new RegExp(source, flags.replace(/i+/, "i")))
    .find(
      (candidate) => noMatchProblem(candidate) === undefined && checkRegExp(candidate, context) === undefined,
    );
  return repaired === undefined ? problem : `${problem}; write ${repaired}`;
}

/** Proposes a RegExp that is accepted and matches the origins that this one was probably meant for. */
function repair(pattern: RegExp, context: Context): RegExp | undefined {
  const flags = pattern.flags.replace(/[gmy]/g, "");
  const intended = intendedOrigins(new RegExp(pattern.source, flags), context);
  if (intended.length === 0) return undefined;
  for (const source of sources(pattern)) {
    const candidate = new RegExp(source, flags);
    if (!intended.every((origin) => candidate.test(origin)) || regExpProblem(candidate) !== undefined)
      continue;
    if (context.credentials && regExpCredentialsProblem(candidate, context.allowInsecure) !== undefined)
      continue;
    return candidate;
  }
  return undefined;
}

function intendedOrigins(pattern: RegExp, { credentials, allowInsecure }: Context): string[] {
  return namesIn(pattern)
    .flatMap((name) => [name, `www.${name}`, `${name}:3000`])
    .flatMap((name) => [`https://${name}`, `http://${name}`])
    .filter((origin) => {
      const parsed = parseOriginPattern(origin);
      if (typeof parsed === "string" || !pattern.test(origin)) return false;
      const local = isLoopback(parsed);
      const isPortMeant = parsed.port !== "3000" || local || pattern.source.includes("3000");
      return isPortMeant && (!credentials || allowInsecure || local || parsed.scheme !== "http");
    });
}

/** Sources of possible corrections, the preferred first. */
function* sources({ source, flags }: RegExp): Generator<string> {
  if (/[gmy]/.test(flags)) yield source;
  const bodies = alternatives(source);
  for (const scheme of ["https?", "https"]) {
    for (const port of ["", "(?::\\d+)?"]) {
      for (const careful of [true, false]) {
        yield `^(?:${bodies.map((body) => corrected(body, scheme, port, careful)).join("|")})$`;
      }
    }
  }
}

const SUBDOMAINS = "(?:.+\\.)?";

/**
 * One alternative with a scheme and a port. `careful`: dots between letters are escaped too; a `.*` at the end is removed,
 * another one becomes subdomains.
 */
function corrected(alternative: string, scheme: string, port: string, careful: boolean): string {
  const hasEnd = endsAnchored(alternative);
  let body = alternative.replace(/^\^/, "").slice(0, hasEnd ? -1 : undefined);
  if (careful) {
    body = body
      .replace(/(?<=[a-z0-9])\.(?=[a-z0-9])/gi, "\\.")
      .replace(/\.[*+]$/, "")
      .replace(/\.[*+](?=[a-z0-9])/i, SUBDOMAINS);
  }
  const anyStart = body.startsWith(SUBDOMAINS) || /^\.[*+]/.test(body);
  if (!alternative.startsWith("^") || (careful && anyStart)) body = withScheme(body, scheme);
  if (scheme === "https") body = body.replace(/^https\?:/, "https:");
  return hasEnd ? body : body + port;
}

function withScheme(body: string, scheme: string): string {
  const rest = body
    .replace(/^\((?:\?:)?(?:\^\|\\\.|\\\.\|\^)\)/, "") // (^|\.)
    .replace(/^\.[*+](?=\\\.)/, ""); // .*\.
  if (/^\(?(?:\?:)?[a-z][a-z0-9+-]*\??:(?:\\?\/){2}/i.test(rest)) return rest;
  if (/^(?:\\?\/){2}/.test(rest)) return `${scheme}:${rest}`;
  if (/^:(?:\\?\/){2}/.test(rest)) return scheme + rest;
  if (rest.startsWith("\\.")) return `${scheme}:\\/\\/.+${rest}`;
  if (rest.startsWith(SUBDOMAINS)) return `${scheme}:\\/\\/${rest}`;
  return /^\.[*+]/.test(rest) ? rest : `${scheme}:\\/\\/${SUBDOMAINS}${rest}`;
}

/** The problem of the RegExp's flags or anchors; undefined if there is none. */
export function regExpProblem(pattern: RegExp): string | undefined {
  if (pattern.global || pattern.sticky) {
    return `must not have the flag ${pattern.global ? "g" : "y"}: with it a RegExp continues where the last match ended, and every second request fails`;
  }
  if (pattern.multiline) return "must not have the flag m: ^ and $ would match at line breaks too";
  const loose = alternatives(pattern.source).find((one) => !one.startsWith("^") || !endsAnchored(one));
  if (loose === undefined) return undefined;
  return "must be anchored in every alternative, or other origins match too";
}

/** Why an alternative of an anchored RegExp can match no origin of a browser. Only what is sure is reported. */
export function noMatchProblem({ source, flags }: RegExp): string | undefined {
  if (flags.includes("v")) return undefined; // with this flag, classes may be nested
  return alternatives(source)
    .map((one) => noMatch(one, flags.includes("i")))
    .find((problem) => problem !== undefined);
}

function noMatch(alternative: string, ignoreCase: boolean): string | undefined {
  const start = /^\^https?\??:(?:\\?\/){2}/.exec(alternative)?.[0];
  if (start === undefined) return undefined;
  const rest = requiredText(alternative.slice(start.length, -1));
  if (rest.includes("/")) return 'can match no origin: an origin has no path, and no "/" at its end';
  const standard = /^\^https:/.test(start) ? ":443" : /^\^http:/.test(start) ? ":80" : undefined;
  if (standard !== undefined && rest.endsWith(standard)) {
    return `can match no origin: browsers leave out the standard port ${standard}`;
  }
  const upper = ignoreCase ? null : /[A-Z]/.exec(rest);
  if (upper === null) return undefined;
  return `can match no origin: browsers send hosts in lower case, and it has "${upper[0]}"`;
}

/** What each match must have. Spaces replace groups, classes, optional characters, and all escapes but `\/`. */
function requiredText(source: string): string {
  return source
    .replace(/\\([/.:-])/g, (_escape, char: string) => (char === "/" ? "/" : " "))
    .replace(/\\(?:[pP]\{[^}]*\}|k<[^>]*>|u\{[^}]*\}|.)/g, " ")
    .replace(/\[[^\]]*\]/g, " ")
    .replace(/\(.*\)/s, " ") // from the first group to the last
    .replace(/.(?:[?*]|\{0*,?)/g, " ");
}

/** The alternatives at the top level, outside of groups and classes. */
export function alternatives(source: string): string[] {
  const found: string[] = [];
  let depth = 0;
  let inClass = false;
  let start = 0;
  for (let i = 0; i < source.length; i++) {
    const char = source[i];
    if (char === "\\") i++;
    else if (inClass) inClass = char !== "]";
    else if (char === "[") inClass = true;
    else if (char === "(") depth++;
    else if (char === ")") depth--;
    else if (char === "|" && depth === 0) {
      found.push(source.slice(start, i));
      start = i + 1;
    }
  }
  found.push(source.slice(start));
  return found;
}

/** Whether the source ends with an anchor: a `$` that is not escaped. */
export function endsAnchored(source: string): boolean {
  const end = /(\\*)\$$/.exec(source);
  return end !== null && end[1]!.length % 2 === 0;
}
