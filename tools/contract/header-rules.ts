import type { Checker } from "../../src/lib/config/checker.js";
import { isBag } from "../../src/lib/config/checker.js";
import type { HeaderExpectation } from "./expectations.js";

/** What every answer of an API should have. */
const ADVISED: readonly (readonly [string, HeaderExpectation | undefined])[] = [
  ["X-Content-Type-Options", /^nosniff$/i],
  ["Content-Security-Policy", undefined],
  ["Referrer-Policy", undefined],
  ["X-Frame-Options", /^(?:deny|sameorigin)$/i],
];

/** Header names and their expected values; undefined is any value but an empty one. */
export function headerRules(checker: Checker): readonly (readonly [string, HeaderExpectation | undefined])[] {
  const given = checker.options.securityHeaders;
  if (given === undefined) return [];
  if (given === true) return ADVISED;
  if (Array.isArray(given) && given.every((name) => typeof name === "string" && name !== "")) {
    return given.map((name: string) => [name, undefined] as const);
  }
  if (isBag(given) && Object.values(given).every(isExpectation)) {
    return Object.entries(given) as [string, HeaderExpectation][];
  }
  checker.add(
    "securityHeaders",
    "must be true, a list of names, or names with a string, a regular expression, or false for none",
  );
  return [];
}

function isExpectation(value: unknown): boolean {
  return typeof value === "string" || value === false || value instanceof RegExp;
}
