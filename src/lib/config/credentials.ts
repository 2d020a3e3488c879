import { Checker, isBag } from "./checker.js";
import { ConfigError, HIDDEN } from "./config-error.js";
import type { ForeignOptions } from "./foreign.js";
import { refuseRequest } from "./not-called.js";

/** An option that decides who may enter is not left out by giving `undefined`. */
const UNDEFINED =
  "is undefined: is an environment variable missing? Without it nobody could be told from a stranger";

/**
 * A problem with a member that protects the app; what was given is not printed. For `undefined` it asks whether an
 * environment variable is missing, and only else gives the reason.
 */
export function refuseSecret(checker: Checker, option: string, value: unknown, reason: string): void {
  if (value === undefined) checker.addSecret(option, UNDEFINED, "ERR_PORTICO_UNDEFINED_OPTION");
  else checker.addSecret(option, reason);
}

/** The same for an option of the bag itself: one that was left out is missing, which is another mistake. */
export function refuseRequired(
  checker: Checker,
  option: string,
  { missing, wrong }: { readonly missing: string; readonly wrong: string },
): void {
  if (option in checker.options) refuseSecret(checker, option, checker.options[option], wrong);
  else checker.addSecret(option, `is missing: ${missing}`, "ERR_PORTICO_MISSING_OPTION");
}

/** A secret that was given in place of the options is not printed. */
export function secretive(
  subject: string,
  options: unknown,
  known: readonly string[],
  foreign: ForeignOptions = {},
): Checker {
  if (options === undefined || isBag(options)) return Checker.of(subject, options, known, "", foreign);
  refuseRequest(subject, options);
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
    given.length === 0 ? "ERR_PORTICO_MISSING_OPTION" : "ERR_PORTICO_CONFLICTING_OPTIONS",
  );
  return undefined;
}
