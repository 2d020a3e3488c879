import type { Checker, ForeignOptions } from "../lib/config/checker.js";
import { boolean, type Reader, readOptions, type SchemaOf } from "../lib/config/schema.js";
import { type CheckPlan, type HealthChecks, readChecks } from "../lib/health/options.js";

export interface HealthOptions {
  /** The checks by name: a function `(signal) => …` each, or an object with options. @defaultValue required */
  readonly checks: HealthChecks;
  /**
   * Whether the answer has the name, result, time and error message of each check. Error messages may name hosts and
   * users: only for those who may know them. @defaultValue `false`
   */
  readonly details?: boolean | undefined;
}

export const OPTIONS = () =>
  ({ checks: requiredChecks, details: boolean(false) }) satisfies SchemaOf<HealthOptions>;

export function checkOptions(options: HealthOptions) {
  const { checker, plan } = readOptions("health()", OPTIONS, options, { foreign: FOREIGN });
  return checker.done(plan);
}

const requiredChecks: Reader<readonly CheckPlan[], HealthChecks> = (checker: Checker, option) => {
  if (checker.options[option] === undefined)
    checker.add(
      option,
      "is missing: name what the app depends on, checks: { database: async (signal) => … }; {} for nothing",
      undefined,
      "ERR_PORTICO_MISSING_OPTION",
    );
  return readChecks(checker, option) ?? [];
};

const FIXED = "there is none: the answer is 200 or 503, with a fixed body";

/** Option names of other packages, and their equivalent here. */
export const FOREIGN: ForeignOptions = {
  "@godaddy/terminus": {
    healthChecks: "checks",
    "statusOk statusOkResponse statusError statusErrorResponse": FIXED,
    verbatim: "details: true shows the results; what a check returns is not shown",
    __unsafeExposeStackTraces: "details: true shows the message; stacks are never shown",
    caseInsensitive: "the path is that of your route",
  },
  "express-healthcheck": {
    healthy: FIXED,
    test: "write a check, which throws if it fails: checks: { name: async () => … }",
  },
  "@fastify/under-pressure": {
    healthCheck: "write it as a check: checks: { name: async (signal) => … }",
    healthCheckInterval: "it is everyMs of each check",
    exposeStatusRoute: "mount the handler at your route",
  },
};
