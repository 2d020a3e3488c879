import { Checker, isBag } from "./check.js";
import { ConfigError, HIDDEN } from "./config-error.js";

/** An option that decides who may enter is not left out by giving `undefined`. */
export const MISSING =
  "is undefined: is an environment variable missing? Without it nobody could be told from a stranger";

/** A secret that was given in place of the options is not printed. */
export function secretive(subject: string, options: unknown, known: readonly string[]): Checker {
  if (options === undefined || isBag(options)) return Checker.of(subject, options, known);
  throw new ConfigError(subject, [
    { option: "options", value: HIDDEN, reason: "must be an object of options" },
  ]);
}

/** Which of two ways was chosen; there must be one, and only one. */
export function oneOf<T extends string>(checker: Checker, one: T, other: T): T | undefined {
  const given = [one, other].filter((name) => name in checker.options);
  if (given.length === 1) return given[0];
  checker.addSecret(
    one,
    given.length === 0
      ? `is missing: give ${one} or ${other}`
      : `cannot be combined with ${other}: give one of them`,
  );
  return undefined;
}
