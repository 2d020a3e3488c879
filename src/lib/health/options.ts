import { type Checker, isBag } from "../config/checker.js";
import { boolean, integer, type Reader, readOptions, type SchemaOf } from "../config/schema.js";

/**
 * Checks one thing that the app depends on. It fails if it throws, rejects, or returns `false` or a promise of it; any other
 * result passes.
 *
 * @param signal aborts when the time is over (TimeoutError) or the checks are closed (AbortError)
 */
export type HealthCheck = (signal: AbortSignal) => unknown;

export interface HealthCheckOptions {
  /** The check itself. @defaultValue required */
  readonly check: HealthCheck;
  /** How long a run may take. Then it counts as failed, and its result is ignored. @defaultValue `2_000` */
  readonly timeoutMs?: number | undefined;
  /** The pause between the end of a run and the next one. @defaultValue `5_000` */
  readonly everyMs?: number | undefined;
  /** Whether the answer is 503 if it fails; `false`: 200, with `warn`. @defaultValue `true` */
  readonly required?: boolean | undefined;
}

/** Checks by name: a function each, or a function and its options. */
export type HealthChecks = Readonly<Record<string, HealthCheck | HealthCheckOptions>>;

const MS = { min: 1, max: 2 ** 31 - 1, unit: "milliseconds" };

export const CHECK = () =>
  ({
    check: readCheck,
    timeoutMs: integer(MS, 2_000),
    everyMs: integer(MS, 5_000),
    required: boolean(true),
  }) satisfies SchemaOf<HealthCheckOptions>;

/** The checked options of one check. */
export interface CheckPlan {
  readonly name: string;
  readonly check: HealthCheck;
  readonly timeoutMs: number;
  readonly everyMs: number;
  readonly required: boolean;
}

/** Reads the option `checks`; undefined if it was not given. */
export const readChecks: Reader<readonly CheckPlan[] | undefined, HealthChecks> = (checker, option) => {
  const given = checker.options[option];
  if (given === undefined) return undefined;
  if (!isBag(given)) {
    checker.add(option, "must be an object of checks by name: { database: async (signal) => … }");
    return undefined;
  }
  return Object.entries(given).map(([name, value]) => ({ name, ...readOne(checker, option, name, value) }));
};

function readOne(outer: Checker, option: string, name: string, value: unknown): Omit<CheckPlan, "name"> {
  if (name.trim() === "") outer.add(option, "has a check without a name: name what it checks");
  const isObject = isBag(value);
  const given = isObject ? value : { check: value };
  const prefix = `${outer.prefix}${option}.${name}.`;
  const { checker, plan } = readOptions(outer.subject, CHECK, isObject ? given : {}, { prefix });
  if (isObject) outer.problems.push(...checker.problems);
  else if (typeof value !== "function")
    outer.add(
      `${option}.${name}`,
      "must be a function (signal) => …, which throws or rejects if it fails, or { check, timeoutMs, everyMs, required }",
      value,
    );
  return { ...plan, ...(typeof value === "function" && { check: value as HealthCheck }) };
}

function readCheck(checker: Checker, option: string): HealthCheck {
  const given = checker.options[option];
  if (typeof given === "function") return given as HealthCheck;
  if (given !== undefined) checker.add(option, MUST_BE_FUNCTION);
  else checker.add(option, `is missing: it ${MUST_BE_FUNCTION}`, given, "ERR_PORTICO_MISSING_OPTION");
  return () => {};
}

const MUST_BE_FUNCTION = "must be a function (signal) => …, which throws or rejects if it fails";
