import { CONTROLS, unicodeEscape } from "../values/control-characters.js";

/**
 * A message and its fields as a person reads them: one line, and below it the stack of an error, if there is one.
 * Nothing in it can end the line, move a terminal's cursor or colour its text: it can hold what a client sent.
 */
export function readable(fields: object, message: string): string {
  const { error } = fields as { error?: { stack?: unknown } };
  const stack = typeof error?.stack === "string" ? error.stack : undefined;
  let line = message;
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined || (name === "error" && stack !== undefined)) continue; // the stack begins with it
    line += pairs(name, value);
  }
  const head = visible(line).replaceAll("\n", " ");
  return stack === undefined ? head : `${head}\n${visible(stack).replace(/^/gm, "  ")}`;
}

/** ` name=value`; an object's members each by its path. */
function pairs(name: string, value: unknown): string {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return ` ${name}=${textOf(value)}`;
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return members.map(([key, member]) => ` ${name}.${key}=${textOf(member)}`).join("");
}

/** Quotes only where the value would not be one word. */
function textOf(value: unknown): string {
  if (typeof value === "string" && /^[^\s"=]+$/.test(value)) return value;
  return JSON.stringify(value) ?? String(value);
}

/** What could end a line or turn its text, as JSON escapes it; line feeds stay. */
export function visible(text: string): string {
  return text.replace(CONTROLS, (character) => (character === "\n" ? character : unicodeEscape(character)));
}
