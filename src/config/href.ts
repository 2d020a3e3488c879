import { peek } from "../http/thrown.js";

/** The text of a URL that was given as one, or as text. A URL of another realm (a test runner's) is one too. */
export function hrefOf(given: unknown): string | undefined {
  const text = typeof given === "object" ? peek(given, "href") : given;
  return typeof text === "string" ? text : undefined;
}
