/**
 * The parameters in a function's source; undefined if they cannot be read. `length`, which Express goes by, does not count
 * a parameter with a default, nor those after it.
 */
export function parametersOf(fn: unknown): readonly string[] | undefined {
  const source = sourceOf(fn);
  if (source === "" || source.startsWith("class")) return undefined;
  const single = /^(?:async\s+)?([\w$]+)\s*=>/.exec(source);
  if (single !== null) return [single[1]!];
  const start = source.indexOf("(");
  return start < 0 ? undefined : split(source, start);
}

/** The source of a function; empty for built-in and bound functions. */
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
      return undefined; // strings and comments may contain any of these characters
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
