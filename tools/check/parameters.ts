/**
 * The parameters that a function's source declares. `length` does not count those with a default, and those after
 * them: Express goes by it, the author did not. Undefined for what cannot be read.
 */
export function parametersOf(fn: unknown): readonly string[] | undefined {
  const source = sourceOf(fn);
  if (source === "" || source.startsWith("class")) return undefined;
  const single = /^(?:async\s+)?([\w$]+)\s*=>/.exec(source);
  if (single !== null) return [single[1]!];
  const start = source.indexOf("(");
  return start < 0 ? undefined : split(source, start);
}

/** The text of a function; empty for one of the platform's, or a bound one. */
export function sourceOf(fn: unknown): string {
  if (typeof fn !== "function") return "";
  const source = Function.prototype.toString.call(fn);
  return source.includes("[native code]") ? "" : source;
}

const OPENING = "([{";
const CLOSING = ")]}";

function split(source: string, start: number): readonly string[] | undefined {
  const parameters: string[] = [];
  let depth = 0;
  let current = "";
  for (let at = start; at < source.length; at++) {
    const char = source[at]!;
    if (
      char === '"' ||
      char === "'" ||
      char === "`" ||
      (char === "/" && "/*".includes(source[at + 1] ?? " "))
    )
      return undefined; // text, and comments, may have anything in them
    if (OPENING.includes(char)) depth++;
    else if (CLOSING.includes(char)) depth--;
    if (depth === 0) {
      if (current.trim() !== "") parameters.push(current.trim());
      return parameters;
    }
    if (char === "," && depth === 1) {
      parameters.push(current.trim());
      current = "";
    } else if (at > start) current += char;
  }
  return undefined;
}
