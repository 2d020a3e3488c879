import type { HeaderList } from "../../lib/response/snapshot.js";

/** The values of a field, one for each line; `name` in lower case. */
export function linesOf(headers: HeaderList, name: string): string[] {
  const lines: string[] = [];
  for (let i = 0; i < headers.length; i++) {
    const [written, value] = headers[i]!;
    if (written.length !== name.length || written.toLowerCase() !== name) continue;
    if (typeof value === "object") lines.push(...value);
    else lines.push(String(value));
  }
  return lines;
}

/** The lines of a field as one value (RFC 9110 section 5.3); undefined if there is none. */
export function fieldOf(headers: HeaderList, name: string): string | undefined {
  const lines = linesOf(headers, name);
  if (lines.length === 0) return undefined;
  return trimOws(lines.length === 1 ? lines[0]! : lines.join(", "));
}

/** Removes space and tab only: `trim` also removes characters that belong to a value, such as 0xA0. */
export function trimOws(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isOws(text.charCodeAt(start))) start++;
  while (end > start && isOws(text.charCodeAt(end - 1))) end--;
  return start === 0 && end === text.length ? text : text.slice(start, end);
}

export function isOws(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
