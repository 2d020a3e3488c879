import { peek } from "../http/thrown.js";

/** The text of a URL that was given as one, or as text. A URL of another realm (a test runner's) is one too. */
export function hrefOf(given: unknown): string | undefined {
  const text = typeof given === "object" ? peek(given, "href") : given;
  return typeof text === "string" ? text : undefined;
}

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/** What is sent there leaves the machine for no network that others listen on. */
export function isLoopback({ hostname }: URL): boolean {
  return LOOPBACK.test(hostname);
}
