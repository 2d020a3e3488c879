/** One problem with the options. */
export interface Problem {
  /** The option's name; nested ones with dots and brackets (`origin[2]`, `redact.query`). */
  readonly option: string;
  /** The value that was given; secrets are left out. */
  readonly value: unknown;
  /** What is wrong with it, and what to write instead. */
  readonly reason: string;
  /** The kind of problem; docs/errors.md explains each code. */
  readonly code: ConfigErrorCode;
}

/** A problem as a check found it: without a code it is `ERR_PORTICO_INVALID_OPTION`. */
export type ProblemInput = Omit<Problem, "code"> & { readonly code?: ConfigErrorCode | undefined };

const BRAND: unique symbol = Symbol.for("express-portico/config-error/1") as never;

/**
 * All problems with the options of a handler, thrown when the handler is made. Each problem has a `code`, and the message
 * ends with the address of its explanation (docs/errors.md).
 *
 * @example
 * try {
 *   cors({ orgin: "https://app.example" });
 * } catch (error) {
 *   console.log(error.problems[0].reason); // unknown option. Did you mean "origin"?
 * }
 *
 * @example
 * // In a test of your own configuration: all problems come at once.
 * expect(() => app(settings)).not.toThrow(ConfigError);
 */
export class ConfigError extends TypeError {
  override readonly name = "ConfigError";
  /** Every problem, in the order of the options. */
  readonly problems: readonly Problem[];

  /** @param subject the function that has the options, as the caller writes it: `cors()` */
  constructor(subject: string, given: readonly ProblemInput[]) {
    const problems = given.map(withoutPassword);
    const count = problems.length === 1 ? "a problem" : `${problems.length} problems`;
    const lines = problems.map(({ option, value, reason }) => `\n  - ${option}: ${withValue(value, reason)}`);
    const coded = problems.map((problem): Problem => ({ ...problem, code: problem.code ?? DEFAULT_CODE }));
    const pages = [...new Set(coded.map(({ code }) => `\n  See ${pageOf(code)}`))];
    super(`express-portico: ${count} with the options of ${subject}:${lines.join("")}${pages.join("")}`);
    this.problems = coded;
  }

  static override [Symbol.hasInstance] = isConfigError;

  /** @internal */
  get [BRAND](): true {
    return true;
  }
}

/**
 * An error of another copy of the package counts too: there can be two in one process (an older one below a dependency,
 * a bundle beside node_modules). For a class derived from ConfigError, `instanceof` works as usual.
 */
function isConfigError(this: unknown, error: unknown): boolean {
  if (this !== ConfigError) return Function.prototype[Symbol.hasInstance].call(this, error);
  return typeof error === "object" && error !== null && (error as { [BRAND]?: unknown })[BRAND] === true;
}

const DEFAULT_CODE = "ERR_PORTICO_INVALID_OPTION" satisfies ConfigErrorCode;

/** Stands for a value that must not be printed. */
export const HIDDEN: unique symbol = Symbol("hidden");

/** A URL with a user name or a password, which must not reach a log. */
const URL_WITH_PASSWORD = /:\/\/[^/?#\s"']*@/g;

function withoutPassword(problem: ProblemInput): ProblemInput {
  const reason = problem.reason.replaceAll(URL_WITH_PASSWORD, "://…@");
  const value = showWhole(problem.value).search(URL_WITH_PASSWORD) === -1 ? problem.value : HIDDEN;
  return { ...problem, value, reason };
}

function withValue(value: unknown, reason: string): string {
  return value === HIDDEN ? reason : `received ${show(value)}; ${reason}`;
}

const MAX_SHOWN = 80;

/** A value as a person would write it, on one line and short. */
export function show(value: unknown): string {
  const text = showWhole(value).replace(/\s+/g, " ");
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN - 1)}…` : text;
}

function showWhole(value: unknown): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value);
    case "bigint":
      return `${value}n`;
    case "function":
      return value.name === "" ? "a function" : `the function ${value.name}`;
    case "object":
      return value === null ? "null" : showObject(value);
    default:
      return String(value);
  }
}

function showObject(value: object): string {
  try {
    if (value instanceof RegExp) return String(value);
    return JSON.stringify(value) ?? "an object";
  } catch {
    return "an object"; // a cycle, or a getter that throws
  }
}

/** Each has an entry in docs/errors.md, under a heading that is the code itself. */
export const CONFIG_ERROR_CODES = [
  "ERR_PORTICO_UNKNOWN_OPTION",
  "ERR_PORTICO_FOREIGN_OPTION",
  "ERR_PORTICO_MISSING_OPTION",
  "ERR_PORTICO_UNDEFINED_OPTION",
  "ERR_PORTICO_INVALID_OPTION",
  "ERR_PORTICO_CONFLICTING_OPTIONS",
  "ERR_PORTICO_UNSAFE_OPTION",
  "ERR_PORTICO_INVALID_HANDLER",
  "ERR_PORTICO_NOT_CALLED",
  "ERR_PORTICO_MISSING_PACKAGE",
] as const;

/** The kind of problem; docs/errors.md has the cause and the remedy of each. */
export type ConfigErrorCode = (typeof CONFIG_ERROR_CODES)[number];

/** Where a code is explained, as a path in the installed package: GitHub's anchor for the heading. */
export function pageOf(code: ConfigErrorCode): string {
  return `express-portico/docs/errors.md#${code.toLowerCase()}`;
}
