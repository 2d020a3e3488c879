import { type Checker, type ForeignOptions, isBag } from "../lib/config/checker.js";
import { refuseRequest } from "../lib/config/not-called.js";
import { readOptions, type SchemaOf, valid } from "../lib/config/schema.js";
import { readSize } from "./size.js";

export interface BodyLimitOptions {
  /**
   * The longest body: a positive integer of bytes, or a text as the package `bytes` reads it, such as `"100kb"`. Required.
   */
  readonly limit: number | string;
  /** Milliseconds from this middleware to the last byte of the body; then 408. @defaultValue no limit */
  readonly timeMs?: number | undefined;
}

/** The longest delay of a Node timer: a longer one fires at once. */
const MAX_MS = 2 ** 31 - 1;

export const OPTIONS = () =>
  ({
    limit: requiredSize,
    timeMs: valid<number>(
      (value) => typeof value === "number" && value > 0 && value <= MAX_MS,
      `must be a number of milliseconds, more than 0 and at most ${MAX_MS}. For no limit, leave the option out`,
    ),
  }) satisfies SchemaOf<BodyLimitOptions>;

export type BodyLimitPlan = ReturnType<typeof checkOptions>;

export function checkOptions(options: number | string | BodyLimitOptions) {
  refuseRequest("bodyLimit()", options);
  const given = isBag(options) ? options : { limit: options };
  const { checker, plan } = readOptions("bodyLimit()", OPTIONS, given, { foreign: FOREIGN });
  return checker.done(plan);
}

function requiredSize(checker: Checker, option: string): number {
  const given = checker.options[option];
  if (given === undefined) {
    const isGiven = option in checker.options;
    const reason = isGiven
      ? "is undefined: is an environment variable missing? It must not mean that there is no limit"
      : 'is required: the longest body in bytes, as in bodyLimit("100kb")';
    checker.add(
      option,
      reason,
      undefined,
      isGiven ? "ERR_PORTICO_UNDEFINED_OPTION" : "ERR_PORTICO_MISSING_OPTION",
    );
    return 1;
  }
  const bytes = typeof given === "string" ? readSize(given) : given;
  if (Number.isSafeInteger(bytes) && (bytes as number) > 0) return bytes as number;
  checker.add(option, sizeProblem(given, bytes));
  return 1;
}

function sizeProblem(given: unknown, bytes: unknown): string {
  const must = 'must be a positive integer of bytes, or a text such as "100kb" or "1.5mb"';
  if (given === Number.POSITIVE_INFINITY || bytes === 0 || given === false)
    return `${must}. For no limit, leave the middleware out`;
  if (typeof given === "number" && given > 0) return `${must}; write ${Math.max(1, Math.floor(given))}`;
  if (typeof given !== "string" || bytes !== undefined) return must;
  const [, count, unit] = /^\s*\+?(\d+(?:[._]\d+)*)\s*([kmgtp])(?:i?b?)\s*$/i.exec(given) ?? [];
  return unit === undefined
    ? must
    : `${must}; write ${JSON.stringify(`${count!.replace(/_/g, "")}${unit.toLowerCase()}b`)}`;
}

/** Option names of other packages, and what to write here instead. */
export const FOREIGN: ForeignOptions = {
  "body-parser": {
    "inflate type verify strict extended parameterLimit":
      "these are the parser's: bodyLimit only counts what comes over the wire",
  },
  "raw-body": {
    "length encoding": "there is none: the body is not read here, only counted",
  },
  hono: {
    maxSize: "limit",
    onError: "requestContext's render writes the answer",
  },
  multer: {
    fileSize: "limit counts the whole body; multer's own limits count its parts",
  },
};
