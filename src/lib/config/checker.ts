import { ConfigError, type ConfigErrorCode, HIDDEN, type ProblemInput } from "./config-error.js";
import { suggestion } from "./did-you-mean.js";
import { refuseRequest } from "./not-called.js";

/** An object of options. */
export type Bag = Readonly<Record<string, unknown>>;

/**
 * An object of options, and all problems that were found with it. The readers of a schema (schema.ts) check one option
 * each, and go on with its default if it is wrong; `done` throws all problems at the end.
 */
export class Checker {
  readonly problems: ProblemInput[] = [];

  private constructor(
    /** The function that has the options, as the caller writes it: `cors()`. */
    readonly subject: string,
    readonly options: Bag,
    readonly known: readonly string[],
    /** Written before each option's name: `cors.` for an object within the options. */
    readonly prefix: string,
  ) {}

  /**
   * Starts with a value that may be anything, and refuses unknown names. For the name of another package's option
   * (`foreign`) the message says ours.
   *
   * @param hasSecrets whether a value that is no object of options may be a secret, and is not printed
   */
  static of(
    subject: string,
    options: unknown,
    known: readonly string[],
    prefix = "",
    foreign: ForeignOptions = {},
    hasSecrets = false,
  ): Checker {
    if (options !== undefined && prefix === "") refuseRequest(subject, options);
    if (options !== undefined && !isBag(options)) {
      const value = hasSecrets ? HIDDEN : options;
      throw new ConfigError(subject, [{ option: "options", value, reason: "must be an object of options" }]);
    }
    const checker = new Checker(subject, { ...options }, known, prefix); // a copy: later changes by the caller have no effect
    checker.refuseUnknown(foreign);
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

  /** Throws all problems at once, in the order of the options; without a problem it returns the plan. */
  done<Plan = void>(plan?: Plan): Plan {
    if (this.problems.length === 0) return plan as Plan;
    // Unknown names, and problems with other arguments of the function, have the index -1 and so come first.
    const place = ({ option }: ProblemInput) => this.known.indexOf(option.split(/[.[]/, 1)[0]!);
    throw new ConfigError(
      this.subject,
      this.problems.toSorted((one, other) => place(one) - place(other)),
    );
  }

  private refuseUnknown(foreign: ForeignOptions): void {
    for (const name of Object.keys(this.options)) {
      if (this.known.includes(name)) continue;
      const theirs = foreignReason(name, foreign);
      if (theirs !== undefined) {
        this.addSecret(name, theirs, "ERR_PORTICO_FOREIGN_OPTION");
        continue;
      }
      const remedy = suggestion(name, this.known, `The options are ${this.known.join(", ")}.`);
      this.addSecret(name, `unknown option. ${remedy}`, "ERR_PORTICO_UNKNOWN_OPTION");
    }
  }
}

/** An object of options: not null, no list, no function, no instance of a class such as a Map or a RegExp. */
export function isBag(value: unknown): value is Bag {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value) as object | null;
  if (prototype === null) return true;
  // The Object.prototype of another realm (a test runner's) is another object, but has no prototype either.
  return Object.getPrototypeOf(prototype) === null;
}

/** Without undefined members: an explicit undefined means the default. */
export function withoutUndefined(bag: Bag | undefined): Record<string, unknown> {
  return Object.fromEntries(Object.entries(bag ?? {}).filter(([, value]) => value !== undefined));
}

/**
 * Option names of other packages, by package, for one factory of this package. A key is a name, or several names with spaces
 * between them if the same holds for all. The value is the name of our option, or a sentence that says what to write
 * instead; a sentence is recognised by its spaces.
 *
 * @example
 * const FOREIGN: ForeignOptions = {
 *   hono: { allowMethods: "methods" },
 *   cors: { preflightContinue: 'shortCircuit: "preflight" passes on every OPTIONS that is no preflight' },
 * };
 */
export type ForeignOptions = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** The message for the name of another package's option; undefined for other names. */
export function foreignReason(name: string, foreign: ForeignOptions): string | undefined {
  const uses = Object.entries(foreign).flatMap(([from, table]) =>
    Object.entries(table).flatMap(([names, instead]) =>
      names.split(" ").includes(name) ? [{ from, instead }] : [],
    ),
  );
  const instead = uses[0]?.instead;
  if (instead === undefined) return undefined;
  const packages = uses.filter((use) => use.instead === instead).map(({ from }) => `${from}'s`);
  const here = instead.includes(" ") ? instead : `it is \`${instead}\``;
  return `\`${name}\` is ${packages.join(" and ")} name; here ${here}`;
}

/** For an option that protects the app, `undefined` is not the same as leaving it out. */
const UNDEFINED = "is undefined: is an environment variable missing? Without it no caller can be recognised";

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

/** Which of two options was given; exactly one must be. */
export function eitherOf<T extends string>(checker: Checker, one: T, other: T): T | undefined {
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
