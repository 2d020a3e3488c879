import { Checker, type ForeignOptions, isBag } from "./checker.js";
import { HIDDEN } from "./config-error.js";
import { suggestion } from "./did-you-mean.js";
import { type Bounds, isWhole, notWhole } from "./integers.js";

/**
 * Reads one option and returns its value for the plan. If the value is wrong, it adds a problem and returns the default, so
 * that all problems are found at once.
 */
export interface Reader<Value, Given = unknown> {
  (checker: Checker, option: string): Value;
  /** The values that it accepts. Only for the compiler: the property does not exist. */
  readonly "~given"?: (given: Given) => void;
}

/**
 * The readers of all options of a function, in the order of its page. A schema is a function that returns them, so that
 * importing it does nothing and defaults are read at construction.
 */
export type Schema = Readonly<Record<string, (checker: Checker, option: string) => unknown>>;

/** A reader for each member of `Options`, and each reader accepts all that the member's type allows. */
export type SchemaOf<Options> = {
  readonly [Name in keyof Options]-?: Reader<unknown, Exclude<Options[Name], undefined>>;
};

/** The checked options. */
export type PlanOf<Readers extends Schema> = {
  readonly [Name in keyof Readers]: ReturnType<Readers[Name]>;
};

interface ReadSettings {
  /** Names of other packages' options. */
  readonly foreign?: ForeignOptions;
  /** Written before each option's name: `cors.` for an object within the options. */
  readonly prefix?: string;
  /** Whether a value that is no object of options may be a secret, and is not printed. */
  readonly hasSecrets?: boolean;
}

/**
 * Reads all options of a function by its schema, and refuses unknown names. The caller checks what concerns several
 * options, and ends with `checker.done(plan)`, which throws all problems at once.
 *
 * @param subject the function that has the options, as the caller writes it: `cors()`
 */
export function readOptions<Readers extends Schema>(
  subject: string,
  schema: () => Readers,
  given: unknown,
  { foreign, prefix, hasSecrets }: ReadSettings = {},
): { checker: Checker; plan: PlanOf<Readers> } {
  const readers = schema();
  const checker = Checker.of(subject, given, Object.keys(readers), prefix, foreign, hasSecrets);
  const values = Object.entries(readers).map(([option, read]) => [option, read(checker, option)]);
  return { checker, plan: Object.fromEntries(values) as PlanOf<Readers> };
}

interface NestedSettings<Readers extends Schema> {
  /** The problem of a value that is no object; by default it shows the names. */
  readonly reason?: string;
  /** Whether such a value is not printed, because it may be a secret. */
  readonly hasSecrets?: boolean;
  readonly foreign?: ForeignOptions;
  /** Turns a short form into an object. */
  readonly expand?: (given: unknown) => unknown;
  /** Checks what concerns several members. */
  readonly finish?: (plan: PlanOf<Readers>, checker: Checker) => void;
}

/** An object within the options. If it is left out, it is read as an empty one. */
export function nested<Readers extends Schema>(
  schema: () => Readers,
  { reason, hasSecrets, foreign, expand, finish }: NestedSettings<Readers> = {},
): Reader<PlanOf<Readers>> {
  return (outer, option) => {
    const written = outer.options[option];
    const given = expand?.(written) ?? written;
    const isObject = given === undefined || isBag(given);
    const settings = { prefix: `${outer.prefix}${option}.`, ...(foreign && { foreign }) };
    const { checker, plan } = readOptions(outer.subject, schema, isObject ? given : {}, settings);
    if (isObject) {
      finish?.(plan, checker);
      outer.problems.push(...checker.problems);
    } else {
      const expected = `must be an object: { ${Object.keys(plan).join(", ")} }`;
      outer.add(option, reason ?? expected, hasSecrets ? HIDDEN : written);
    }
    return plan;
  };
}

/** The problem of a wrong value. */
type Reason = string | ((value: unknown, option: string) => string);

/** A value that passes the test. `reason` is the problem of one that does not. */
export function valid<T>(
  test: (value: unknown) => boolean,
  reason: Reason,
  fallback: NoInfer<T>,
): Reader<T, T>;
export function valid<T>(test: (value: unknown) => boolean, reason: Reason): Reader<T | undefined, T>;
export function valid<T>(
  test: (value: unknown) => boolean,
  reason: Reason,
  fallback?: T,
): Reader<T | undefined, T> {
  return (checker, option) => {
    const value = checker.options[option];
    if (value === undefined) return fallback;
    if (test(value)) return value as T;
    checker.add(option, typeof reason === "string" ? reason : reason(value, option));
    return fallback;
  };
}

/** Reads the option with `read`, and adds the problem that `problemOf` finds with the value. */
export function checked<Value, Given>(
  read: Reader<Value, Given>,
  problemOf: (value: Exclude<Value, undefined>) => string | undefined,
): Reader<Value, Given> {
  return (checker, option) => {
    const value = read(checker, option);
    const problem = value === undefined ? undefined : problemOf(value as Exclude<Value, undefined>);
    if (problem !== undefined) checker.add(option, problem);
    return value;
  };
}

export function boolean(fallback: boolean): Reader<boolean, boolean> {
  return valid<boolean>((value) => typeof value === "boolean", "must be true or false", fallback);
}

export function string(fallback: string): Reader<string, string>;
export function string(): Reader<string | undefined, string>;
export function string(fallback?: string): Reader<string | undefined, string> {
  return valid<string>((value) => typeof value === "string", "must be a string", fallback!);
}

/** Checks only that it is a function: its signature cannot be checked. */
export function fn<F>(reason: Reason = "must be a function"): Reader<F | undefined, F> {
  return valid<F>((value) => typeof value === "function", reason);
}

export function oneOf<T extends string>(choices: readonly T[], fallback: NoInfer<T>): Reader<T, T>;
export function oneOf<T extends string>(choices: readonly T[]): Reader<T | undefined, T>;
export function oneOf<T extends string>(choices: readonly T[], fallback?: T): Reader<T | undefined, T> {
  return valid<T>(
    (value) => choices.includes(value as T),
    (value) => choiceProblem("must be one of", value, choices),
    fallback!,
  );
}

export function choiceProblem(must: string, value: unknown, choices: readonly string[]): string {
  return `${must} ${choices.map((choice) => `"${choice}"`).join(", ")}${didYouMeanSentence(value, choices)}`;
}

/** `. Did you mean "x"?`, or nothing. */
export function didYouMeanSentence(value: unknown, choices: readonly string[]): string {
  const sentence = typeof value === "string" ? suggestion(value, choices, "") : "";
  return sentence && `. ${sentence}`;
}

export function integer(bounds: Bounds, fallback: number): Reader<number, number>;
export function integer(bounds: Bounds): Reader<number | undefined, number>;
export function integer(bounds: Bounds, fallback?: number): Reader<number | undefined, number> {
  return valid<number>(
    (value) => isWhole(bounds, value),
    (value) => notWhole(bounds, value),
    fallback!,
  );
}

/** A list of strings; one string with commas is a list too, as in the Express packages. */
export function names(fallback: string[]): Reader<string[], string | readonly string[]>;
export function names(): Reader<string[] | undefined, string | readonly string[]>;
export function names(fallback?: string[]): Reader<string[] | undefined, string | readonly string[]> {
  return (checker, option) => {
    const value = checker.options[option];
    if (value === undefined) return fallback;
    const list = typeof value === "string" ? value.split(",").map((name) => name.trim()) : value;
    if (!Array.isArray(list) || list.some((name) => typeof name !== "string")) {
      checker.add(option, 'must be a list of strings, or one string with commas: "a, b"');
    } else if (list.includes("")) {
      checker.add(option, "has an empty name in it");
    } else {
      return [...(list as string[])];
    }
    return fallback;
  };
}

/** The value as it is: the caller checks it, together with other options. */
export function unchecked<T>(checker: Checker, option: string): T | undefined {
  return checker.options[option] as T | undefined;
}
