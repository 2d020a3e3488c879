import { type Checker, isBag } from "../config/check.js";
import { HIDDEN } from "../config/config-error.js";
import { urlOf } from "../config/href.js";
import type { HeaderBag } from "./expectations.js";

/** A path of the app; undefined, and a problem, if it is none. */
export function path(checker: Checker, option: string, isRequired = true): string | undefined {
  const value = checker.options[option];
  if (value === undefined && !isRequired) return undefined;
  if (typeof value === "string" && /^\/[^\s#]*$/.test(value)) return value;
  checker.add(option, 'must be a path of the app, with its leading slash: "/hello"');
  return undefined;
}

/** For a bag whose path has been looked at. */
export const pathOf = (checker: Checker): string => String(checker.options.path);

export function origin(checker: Checker, option: string): string | undefined {
  const value = checker.options[option];
  if (typeof value === "string" && urlOf(value)?.origin === value) return value;
  checker.add(option, 'must be an origin as a browser sends it: "https://app.example"');
  return undefined;
}

/** Their values may be credentials, and are not printed. */
export function headers(checker: Checker, option: string): HeaderBag | undefined {
  const value = checker.options[option];
  if (value === undefined) return undefined;
  if (isHeaderBag(value)) return { ...value };
  checker.addSecret(option, 'must be an object of header names and values: { authorization: "Bearer ..." }');
  return undefined;
}

export function usersOf(checker: Checker): readonly [HeaderBag, HeaderBag] {
  const { as } = checker.options;
  if (Array.isArray(as) && as.length === 2 && as.every(isHeaderBag)) return [{ ...as[0] }, { ...as[1] }];
  const reason = "must be a list of two users' headers: [{ cookie: ... }, { cookie: ... }]";
  checker.problems.push({ option: `${checker.prefix}as`, value: HIDDEN, reason });
  return [{}, {}];
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
