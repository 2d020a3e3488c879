import { peek } from "../lib/values/thrown.js";

/** What the conventions write for a value that has no name of its own. */
const OTHER = "_OTHER";
const NAME = /^[A-Za-z_$][\w$.-]{0,63}$/;
/** The most names of errors that become series. An app has few classes of errors, but may make names from what clients send. */
const MOST_NAMES = 100;

/** Makes the function that names errors, with a limit of different names. */
export function errorNames(): (error: unknown) => string {
  const known = new Set<string>();
  return (error) => {
    const name = nameOf(error);
    if (name === undefined) return OTHER;
    if (known.has(name)) return name;
    if (known.size === MOST_NAMES) return OTHER;
    known.add(name);
    return name;
  };
}

/** The error's name. Undefined for other thrown objects: their `name` may come from a client. */
function nameOf(error: unknown): string | undefined {
  if (!isError(error)) return undefined;
  const name = peek(error, "name");
  return typeof name === "string" && NAME.test(name) ? name : undefined;
}

/** Errors of another realm (a test runner's, a `vm`) are errors too. */
function isError(value: unknown): boolean {
  try {
    return value instanceof Error || Object.prototype.toString.call(value) === "[object Error]";
  } catch {
    return false;
  }
}
