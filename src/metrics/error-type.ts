import { peek } from "../lib/values/thrown.js";

/** What the conventions write for a value that has no name of its own. */
const OTHER = "_OTHER";
const NAME = /^[A-Za-z_$][\w$.-]{0,63}$/;
/** An app has few classes of errors. One that makes names of what clients send must not make series of them. */
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

/** Of errors only: the `name` of another thrown object may be a client's. */
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
