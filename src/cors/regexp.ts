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

/** Why an alternative of an anchored RegExp can match no origin of a browser. Only certain cases are reported. */
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

/** The literal characters that each match must have: those outside of groups and classes. */
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
