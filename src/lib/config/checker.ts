import { ConfigError, type ConfigErrorCode, HIDDEN, type ProblemInput } from "./config-error.js";
import { didYouMean } from "./did-you-mean.js";
import { type Bounds, isWhole, notWhole } from "./integers.js";
import { refuseRequest } from "./not-called.js";

/** An object of options. */
export type Bag = Readonly<Record<string, unknown>>;

/**
 * An object of options, and all problems that were found with it. Readers (schema.ts) check one option each, and go on with
 * its default if it is wrong; `done` throws all problems at the end.
 */
export class Checker {
  readonly problems: ProblemInput[] = [];

  /** @param subject the function that has the options, as the caller writes it: `cors()` */
  constructor(
    readonly subject: string,
    readonly options: Bag,
    /** Written before each option's name: `cors.` for an object within the options. */
    readonly prefix = "",
  ) {}

  /**
   * Starts with a value that may be anything, and refuses unknown names. For the name of another package's option
   * (`foreign`) the message says ours.
   */
  static of(
    subject: string,
    options: unknown,
    known: readonly string[],
    prefix = "",
    foreign: ForeignOptions = {},
  ): Checker {
    if (options === undefined) return new Checker(subject, {}, prefix);
    if (prefix === "") refuseRequest(subject, options);
    if (!isBag(options)) {
      throw new ConfigError(subject, [
        {
          option: prefix.replace(/\.$/, "") || "options",
          value: options,
          reason: "must be an object of options",
        },
      ]);
    }
    const checker = new Checker(subject, { ...options }, prefix); // a copy: later changes by the caller have no effect
    checker.refuseUnknown(known, foreign);
    return checker;
  }

  /** One problem with an option; `value` defaults to what was given for it. */
  add(
    option: string,
    reason: string,
    value: unknown = this.options[option],
    code?: ConfigErrorCode | undefined,
  ): void {
    this.problems.push({ option: this.prefix + option, value, reason, code });
  }

  /** A problem with an option whose value must not be printed. */
  addSecret(option: string, reason: string, code?: ConfigErrorCode | undefined): void {
    this.add(option, reason, HIDDEN, code);
  }

  refuseUnknown(known: readonly string[], foreign: ForeignOptions = {}): void {
    for (const name of Object.keys(this.options)) {
      if (known.includes(name)) continue;
      const theirs = foreignReason(name, foreign);
      if (theirs !== undefined) {
        this.add(name, theirs, HIDDEN, "ERR_PORTICO_FOREIGN_OPTION");
        continue;
      }
      const meant = didYouMean(name, known);
      const hint = meant === undefined ? `The options are ${known.join(", ")}.` : `Did you mean "${meant}"?`;
      this.add(name, `unknown option. ${hint}`, HIDDEN, "ERR_PORTICO_UNKNOWN_OPTION");
    }
  }

  boolean(option: string, fallback: boolean): boolean {
    return this.read(option, fallback, (v) => typeof v === "boolean", "must be true or false");
  }

  string(option: string): string | undefined {
    return this.read(option, undefined, (v) => typeof v === "string", "must be a string");
  }

  /** Checks only that it is a function: its signature cannot be checked. */
  function<F>(option: string, hint = "must be a function"): F | undefined {
    return this.read<F | undefined>(option, undefined, (v) => typeof v === "function", hint);
  }

  oneOf<T extends string>(option: string, choices: readonly T[], fallback: T): T;
  oneOf<T extends string>(option: string, choices: readonly T[], fallback?: undefined): T | undefined;
  oneOf<T extends string>(option: string, choices: readonly T[], fallback?: T): T | undefined {
    const value = this.options[option];
    if (value === undefined) return fallback;
    if (choices.includes(value as T)) return value as T;
    const meant = typeof value === "string" ? didYouMean(value, choices) : undefined;
    const list = choices.map((choice) => `"${choice}"`).join(", ");
    this.add(option, `must be one of ${list}${meant === undefined ? "" : `. Did you mean "${meant}"?`}`);
    return fallback;
  }

  integer(option: string, bounds: Bounds, fallback: number): number;
  integer(option: string, bounds: Bounds): number | undefined;
  integer(option: string, bounds: Bounds, fallback?: number): number | undefined {
    const reason = notWhole(bounds, this.options[option]);
    return this.read(option, fallback, (value) => isWhole(bounds, value), reason);
  }

  /** A list of strings; one string with commas is a list too, as in the Express packages. */
  names(option: string): string[] | undefined {
    const value = this.options[option];
    if (value === undefined) return undefined;
    const list = typeof value === "string" ? value.split(",").map((name) => name.trim()) : value;
    if (!Array.isArray(list) || list.some((name) => typeof name !== "string")) {
      this.add(option, 'must be a list of strings, or one string with commas: "a, b"');
      return undefined;
    }
    if (list.includes("")) {
      this.add(option, "has an empty name in it");
      return undefined;
    }
    return [...(list as string[])];
  }

  private read<T>(option: string, fallback: T, test: (value: unknown) => boolean, reason: string): T {
    const value = this.options[option];
    if (value === undefined) return fallback;
    if (test(value)) return value as T;
    this.add(option, reason);
    return fallback;
  }

  /** Throws all problems at once; without a problem it returns the plan. */
  done<Plan = void>(plan?: Plan): Plan {
    if (this.problems.length > 0) throw new ConfigError(this.subject, this.problems);
    return plan as Plan;
  }
}

/** An object of options: not null, no list, no function, no instance of a class such as a Map or a RegExp. */
export function isBag(value: unknown): value is Bag {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value) as object | null;
  if (prototype === null) return true;
  // An object of another realm (a test runner's) has another Object.prototype, which has no parent either.
  return Object.getPrototypeOf(prototype) === null;
}

/** Without undefined members: an explicit undefined means the default. */
export function withoutUndefined(bag: Bag | undefined): Record<string, unknown> {
  return Object.fromEntries(Object.entries(bag ?? {}).filter(([, value]) => value !== undefined));
}

/**
 * Option names of other packages, by package, for one factory of ours. The value is the name of our option, or a sentence
 * that says what to write instead (it has a space in it, a name has none).
 *
 * @example
 * const FOREIGN: ForeignOptions = {
 *   hono: { allowMethods: "methods" },
 *   cors: { preflightContinue: 'shortCircuit: "preflight" hands on every OPTIONS that is no preflight' },
 * };
 */
export type ForeignOptions = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** The message for the name of another package's option; undefined for other names. */
export function foreignReason(name: string, foreign: ForeignOptions): string | undefined {
  const owners = Object.keys(foreign).filter((owner) => Object.hasOwn(foreign[owner]!, name));
  const [first] = owners;
  if (first === undefined) return undefined;
  const instead = foreign[first]![name]!;
  const same = owners.filter((owner) => foreign[owner]![name] === instead);
  const whose = `\`${name}\` is ${listed(same)} name`;
  return instead.includes(" ") ? `${whose}; here ${instead}` : `${whose}; here it is \`${instead}\``;
}

/** `hono's`, `hono's and cors's`. */
function listed(owners: readonly string[]): string {
  return owners.map((owner) => `${owner}'s`).join(" and ");
}

/** For an option that protects the app, `undefined` is not the same as leaving it out. */
const UNDEFINED = "is undefined: is an environment variable missing? Without it no caller can be recognized";

/**
 * A problem with a secret member: its value is not printed. For `undefined` the message asks whether an environment
 * variable is missing.
 */
export function refuseSecret(checker: Checker, option: string, value: unknown, reason: string): void {
  if (value === undefined) checker.addSecret(option, UNDEFINED, "ERR_PORTICO_UNDEFINED_OPTION");
  else checker.addSecret(option, reason);
}

/** The same for a required option, which may also be missing. */
export function refuseRequired(
  checker: Checker,
  option: string,
  { missing, wrong }: { readonly missing: string; readonly wrong: string },
): void {
  if (option in checker.options) refuseSecret(checker, option, checker.options[option], wrong);
  else checker.addSecret(option, `is missing: ${missing}`, "ERR_PORTICO_MISSING_OPTION");
}

/** As `Checker.of`, but a value that is no object of options is not printed: it may be a secret. */
export function checkerOfSecrets(
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

/** Which of two options was given; exactly one must be. */
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
