/** What is wrong with a RegExp as a rule for origins; undefined if nothing. */
export function regExpProblem(pattern: RegExp): string | undefined {
  if (pattern.global || pattern.sticky) {
    return `must not have the flag ${pattern.global ? "g" : "y"}: it makes a RegExp remember where it stopped, and every second request fails`;
  }
  if (pattern.multiline) return "must not have the flag m: ^ and $ would match at line breaks too";
  const loose = alternatives(pattern.source).find((one) => !one.startsWith("^") || !endsAnchored(one));
  if (loose === undefined) return undefined;
  return "must be anchored in every alternative, or other origins match too";
}

/** The alternatives at the top level: not those within groups or classes. */
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

/** Ends with a `$` that is an anchor: not escaped. */
export function endsAnchored(source: string): boolean {
  const end = /(\\*)\$$/.exec(source);
  return end !== null && end[1]!.length % 2 === 0;
}
