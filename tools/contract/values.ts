import { type Checker, isBag } from "../../src/lib/config/checker.js";
import { ConfigError, HIDDEN } from "../../src/lib/config/config-error.js";
import type { Reader } from "../../src/lib/config/schema.js";
import { urlOf } from "../../src/lib/http/target.js";
import { disregard, isThenable } from "../../src/lib/values/thrown.js";
import type { Credentials, HeaderBag, HeaderExpectation } from "./expectations.js";

/** An option that may be left out. */
export function optional<Value>(read: Reader<Value>): Reader<Value | undefined> {
  return (checker, option) => (checker.options[option] === undefined ? undefined : read(checker, option));
}

export function path(checker: Checker, option: string): string {
  const value = checker.options[option];
  if (typeof value !== "string" || !/^\/[^\s#]*$/.test(value))
    checker.add(option, 'must be a path of the app, with its leading slash: "/hello"');
  return value as string;
}

export function origin(checker: Checker, option: string): string {
  const value = checker.options[option];
  if (typeof value !== "string" || urlOf(value)?.origin !== value)
    checker.add(option, 'must be an origin as a browser sends it: "https://app.example"');
  return value as string;
}

/** Headers. Their values may be credentials, and are not printed. */
export function headers(deferred: DeferredHeaders[]): Reader<HeaderBag | undefined> {
  return optional((checker, option) => {
    const read = bagOf(checker.options[option], `${checker.prefix}${option}`, deferred);
    if (read === undefined)
      checker.addSecret(
        option,
        'must be an object of header names and values: { authorization: "Bearer ..." }',
      );
    return read;
  });
}

export function usersOf(deferred: DeferredHeaders[]): Reader<readonly [HeaderBag, HeaderBag]> {
  return (checker, option) => {
    const users = checker.options[option];
    if (Array.isArray(users) && users.length === 2) {
      const [first, second] = users.map((one: unknown) => bagOf(one, `${checker.prefix}${option}`, deferred));
      if (first !== undefined && second !== undefined) return [first, second];
    }
    checker.addSecret(option, "must be a list of two users' headers: [{ cookie: ... }, { cookie: ... }]");
    return [{}, {}];
  };
}

/** Headers that are made when a case runs. Until then `bag` is in their place. */
export interface DeferredHeaders {
  readonly bag: HeaderBag;
  readonly option: string;
  readonly source: Exclude<Credentials, HeaderBag>;
}

function bagOf(value: unknown, option: string, deferred: DeferredHeaders[]): HeaderBag | undefined {
  if (isThenable(value) || typeof value === "function") {
    disregard(value); // the cases that need it report a rejection
    const bag = {};
    deferred.push({ bag, option, source: value as DeferredHeaders["source"] });
    return bag;
  }
  return isHeaderBag(value) ? { ...value } : undefined;
}

/** Makes the headers for one case. */
export async function makeHeaders({ source, option }: DeferredHeaders, url: string): Promise<HeaderBag> {
  const bag: unknown = await (typeof source === "function" ? source(url) : source);
  if (isHeaderBag(bag)) return { ...bag };
  const reason = 'must give an object of header names and values: { authorization: "Bearer ..." }';
  throw new ConfigError("contract()", [{ option, value: HIDDEN, reason }]);
}

function isHeaderBag(value: unknown): value is HeaderBag {
  if (!isBag(value)) return false;
  return Object.entries(value).every(
    ([name, text]) =>
      /^[\w!#$%&'*+.^`|~-]+$/.test(name) &&
      typeof text === "string" &&
      /^[\t\x20-\x7e\x80-\xff]*$/.test(text),
  );
}

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
  const isExpectation = (value: unknown) =>
    typeof value === "string" || value === false || value instanceof RegExp;
  if (isBag(given) && Object.values(given).every(isExpectation)) {
    return Object.entries(given) as [string, HeaderExpectation][];
  }
  checker.add(
    "securityHeaders",
    "must be true, a list of names, or names with a string, a regular expression, or false for none",
  );
  return [];
}
