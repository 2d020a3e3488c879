import type { Request } from "express";
import type { Checker, ForeignOptions } from "../lib/config/checker.js";
import { isWhole, notWhole } from "../lib/config/integers.js";
import { fn, integer, readOptions, type SchemaOf, valid } from "../lib/config/schema.js";

export interface LoadShedOptions {
  /** The most requests in flight: a number, or `"adaptive"` to find it from the latency. @defaultValue `"adaptive"` */
  readonly limit?: number | "adaptive" | undefined;
  /** The lowest limit that `"adaptive"` sets. @defaultValue `10` */
  readonly minLimit?: number | undefined;
  /** The highest limit that `"adaptive"` sets. @defaultValue `1000` */
  readonly maxLimit?: number | undefined;
  /** The limit that `"adaptive"` begins with. @defaultValue `20` */
  readonly initial?: number | undefined;
  /** How many requests beyond the limit may wait for a place. @defaultValue `0` */
  readonly queue?: number | undefined;
  /** For how many milliseconds they may wait. @defaultValue `100` */
  readonly queueMs?: number | undefined;
  /** Requests that are never counted nor refused. @defaultValue none */
  readonly exempt?: ((req: Request) => boolean) | undefined;
  /** Refuse all while the event loop's mean delay (renewed each second) is above this. @defaultValue off */
  readonly maxDelayMs?: number | undefined;
}

const MAX_LIMIT = 1_000_000;
const COUNT = { min: 1, max: MAX_LIMIT };
const DEFAULTS = { minLimit: 10, maxLimit: 1_000, initial: 20 };

export const OPTIONS = () =>
  ({
    limit: valid<number | "adaptive">(
      (value) => value === "adaptive" || isWhole(COUNT, value),
      limitProblem,
      "adaptive",
    ),
    minLimit: integer(COUNT, DEFAULTS.minLimit),
    maxLimit: integer(COUNT, DEFAULTS.maxLimit),
    initial: integer(COUNT, DEFAULTS.initial),
    queue: integer({ min: 0, max: MAX_LIMIT }, 0),
    queueMs: integer({ min: 1, max: 600_000, unit: "milliseconds" }, 100),
    exempt: fn<(req: Request) => boolean>("must be a function (req) that returns true or false"),
    maxDelayMs: integer({ min: 1, max: 60_000, unit: "milliseconds" }),
  }) satisfies SchemaOf<LoadShedOptions>;

export type LoadShedPlan = ReturnType<typeof checkOptions>;

export function checkOptions(options: LoadShedOptions | undefined) {
  const { checker, plan } = readOptions("loadShed()", OPTIONS, options, { foreign: FOREIGN });
  const given = (name: keyof LoadShedOptions) => checker.options[name] !== undefined;
  if (plan.limit !== "adaptive") {
    for (const name of ["minLimit", "maxLimit", "initial"] as const) {
      if (given(name))
        checker.add(name, 'has no effect beside a fixed limit: leave it out, or limit: "adaptive"');
    }
  }
  if (given("queueMs") && plan.queue === 0)
    checker.add("queueMs", "has no effect without a queue: write queue too, as in { queue: 50 }");
  return checker.done({ ...plan, ...limitsOf(checker, plan, given) });
}

/** Defaults give way to what is given; of two that are given and differ, one is a problem. */
function limitsOf(
  checker: Checker,
  plan: { readonly minLimit: number; readonly maxLimit: number; readonly initial: number },
  given: (name: "minLimit" | "maxLimit" | "initial") => boolean,
) {
  let { minLimit, maxLimit, initial } = plan;
  if (!given("minLimit")) minLimit = Math.min(minLimit, maxLimit, given("initial") ? initial : maxLimit);
  if (!given("maxLimit")) maxLimit = Math.max(maxLimit, minLimit, given("initial") ? initial : minLimit);
  if (minLimit > maxLimit) checker.add("minLimit", `is greater than maxLimit, which is ${maxLimit}`);
  else if (!given("initial")) initial = Math.min(maxLimit, Math.max(minLimit, initial));
  else if (initial < minLimit || initial > maxLimit)
    checker.add("initial", `must be from minLimit, ${minLimit}, to maxLimit, ${maxLimit}`);
  return { minLimit, maxLimit, initial };
}

function limitProblem(value: unknown): string {
  if (value === Number.POSITIVE_INFINITY || value === 0 || value === false)
    return 'must be at least 1, or "adaptive". For no limit, leave the middleware out';
  if (typeof value === "string" && !/\d/.test(value)) return 'must be a whole number, or "adaptive"';
  return `${notWhole(COUNT, value)}, or be "adaptive"`;
}

/** Option names of other packages, and what to write here instead. */
export const FOREIGN: ForeignOptions = {
  "toobusy-js": {
    maxLag: "maxDelayMs",
    interval: "there is none: the delay is that of the last second",
  },
  "overload-protection": {
    maxEventLoopDelay: "maxDelayMs",
    clientRetrySecs: "there is none: Retry-After is at random from 1 to 5",
    "maxHeapUsedBytes maxRssBytes": "there is none: limit memory where the process is started",
    "production errorPropagationMode": "there is none: requestContext's render writes the answer",
    "logging logStatsOnReq":
      "there is none: stats() has the numbers, and requestLog() the reason of each refusal",
    sampleInterval: "there is none: the delay is that of the last second",
  },
  "@fastify/under-pressure": {
    maxEventLoopDelay: "maxDelayMs",
    maxEventLoopUtilization: "there is none: a busy event loop that serves everybody in time is no overload",
    retryAfter: "there is none: Retry-After is at random from 1 to 5",
    "message customError pressureHandler": "there is none: requestContext's render writes the answer",
    "healthCheck healthCheckInterval exposeStatusRoute": "there is none: health() answers probes",
  },
};
