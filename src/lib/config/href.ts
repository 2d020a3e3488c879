import { peek } from "../values/thrown.js";

/** The text of a URL that was given as one, or as text. A URL of another realm (a test runner's) is one too. */
export function hrefOf(given: unknown): string | undefined {
  const text = typeof given === "object" ? peek(given, "href") : given;
  return typeof text === "string" ? text : undefined;
}

/**
 * The URL that a text is, or undefined. Not by `URL.canParse`: on Node 20 and 22 its optimized form refuses text with
 * characters beyond ASCII after some thousand calls.
 */
export function urlOf(text: string, base?: string): URL | undefined {
  try {
    return new URL(text, base);
  } catch {
    return undefined;
  }
}

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/** What is sent there leaves the machine for no network that others listen on. */
export function isLoopback({ hostname }: URL): boolean {
  return LOOPBACK.test(hostname);
}
