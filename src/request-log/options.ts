import type { Request, Response } from "express";
import { ConfigError } from "../lib/config/config-error.js";
import {
  boolean,
  checked,
  fn,
  integer,
  names,
  nested,
  oneOf,
  readOptions,
  type SchemaOf,
  unchecked,
  valid,
} from "../lib/config/schema.js";
import { isToken } from "../lib/http/tokens.js";
import { checkLogger, type Logger } from "../lib/log/logger.js";
import { type Redaction, secretNames } from "../lib/log/redact.js";
import { Callbacks } from "./callbacks.js";
import type { EntryRules, RequestLogEntry } from "./entry.js";
import { FOREIGN } from "./foreign.js";
import { checkFormat, SCHEMAS, type Schema } from "./formats/index.js";
import { LEVELS, type Level } from "./level.js";
import { type LineStream, writerOf } from "./writer.js";

export interface RequestLogOptions {
  /**
   * `"json"`, `"dev"`, a morgan format by name or as a string (`":method :url :status"`), or a function that returns
   * the line (undefined: no line). @defaultValue `"dev"` on a terminal, else `"json"`
   */
  readonly format?:
    | "json"
    | "dev"
    | "combined"
    | "common"
    | "short"
    | "tiny"
    | (string & {})
    | ((entry: RequestLogEntry, req: Request, res: Response) => string | undefined)
    | undefined;
  /** Field names in JSON: our own, Elastic Common Schema, or OpenTelemetry. @defaultValue `"plain"` */
  readonly schema?: Schema | undefined;
  /**
   * Receives each entry, with a readable line as the message: pino, winston, bunyan, console. Instead of `stream`.
   * @defaultValue none
   */
  readonly logger?: Logger | undefined;
  /**
   * Receives the lines. An object that is not a Node stream gets each line in its own call.
   * @defaultValue standard output
   */
  readonly stream?: LineStream | undefined;
  /**
   * Called when the response has ended, with `res.statusCode` as it will be logged; true leaves the request out.
   * @defaultValue none
   */
  readonly skip?: ((req: Request, res: Response) => boolean) | undefined;
  /** Called when the request arrives, before any other work; true leaves the request out. @defaultValue none */
  readonly ignore?: ((req: Request) => boolean) | undefined;
  /** Returns the level. The level by the built-in rule is in `entry.level`. @defaultValue the built-in rule */
  readonly level?: ((entry: RequestLogEntry) => Level) | undefined;
  /** Names of request headers to log, in JSON and in entries. Secret ones stay `REDACTED`. @defaultValue none */
  readonly headers?: string | readonly string[] | undefined;
  /** What to hide, besides the query parameters that are always hidden. */
  readonly redact?: RedactOptions | undefined;
  /** Log when the request arrives instead, when nothing is known about the response. @defaultValue `false` */
  readonly immediate?: boolean | undefined;
  /** From this duration in milliseconds, the level is at least warn and the `dev` line says `slow`. @defaultValue none */
  readonly slowMs?: number | undefined;
  /**
   * Whether responses carry the time to the head as `Server-Timing: total;dur=12.3`. Every client can read it: use a
   * predicate in production. @defaultValue `false`
   */
  readonly serverTiming?: boolean | ((req: Request, res: Response) => boolean) | undefined;
}

export interface RedactOptions {
  /** Names of more query parameters with secret values, matched in any case. @defaultValue none */
  readonly query?: string | readonly string[] | undefined;
  /** Receives a path (of the request, and of the referrer) and returns the path to log. @defaultValue none */
  readonly path?: ((path: string, req: Request) => string) | undefined;
}

export const REDACT = () =>
  ({
    query: names([]),
    path: fn("must be a function (path, req) that returns a path"),
  }) satisfies SchemaOf<RedactOptions>;

const DAY_MS = 86_400_000;

export const OPTIONS = () =>
  ({
    format: unchecked,
    schema: oneOf(SCHEMAS, "plain"),
    logger: checkLogger,
    stream: valid<LineStream>(
      (value) => typeof (value as Partial<LineStream> | null)?.write === "function",
      (value) =>
        `must have a method write(line), as process.stdout and every writable stream do${value === null ? "; leave it out for standard output" : ""}`,
      process.stdout,
    ),
    skip: fn("must be a function (req, res) that returns true or false"),
    ignore: fn("must be a function of the request that returns true or false"),
    level: fn((value) => {
      const level = LEVELS.find((name) => name === value);
      return `must be a function of the entry${level === undefined ? "" : `; write () => "${level}"`}`;
    }),
    headers: checked(names([]), (list) => {
      const wrong = list.find((name) => !isToken(name));
      return wrong && `has ${JSON.stringify(wrong)}, which is not a header's name, such as "accept"`;
    }),
    redact: nested(REDACT, {
      reason: 'must be an object, such as { query: ["session"], path: (path) => path }',
    }),
    immediate: boolean(false),
    slowMs: integer({ min: 1, max: DAY_MS, unit: "milliseconds" }, Number.POSITIVE_INFINITY),
    serverTiming: valid(
      (value) => typeof value === "boolean" || typeof value === "function",
      "must be true, false, or a function (req, res) that returns one of them",
      false,
    ),
  }) satisfies SchemaOf<RequestLogOptions>;

const SUBJECT = "requestLog()";

export type RequestLogPlan = ReturnType<typeof checkOptions>;

export function checkOptions(options: RequestLogOptions | undefined) {
  refuseMorganForm(options);
  const { checker, plan } = readOptions(SUBJECT, OPTIONS, options, { foreign: FOREIGN });
  const { logger, stream, redact, schema, immediate, level } = plan;
  const given = checker.options;
  if (given.stream !== undefined && given.logger !== undefined) {
    checker.add("stream", "cannot be combined with logger; leave one of them out");
  }
  if (immediate && plan.slowMs !== Number.POSITIVE_INFINITY) {
    checker.add("slowMs", "has no effect with immediate, which knows no duration; leave one of them out");
  }
  const callbacks = new Callbacks();
  const secrets = secretNames(redact.query);
  const { line, name } = checkFormat(checker, stream, logger, schema, secrets);
  /** The whole entry is written, or the app's own code gets it. */
  const needsAll = name === "json" || name === "" || logger !== undefined || level !== undefined;
  const rules: EntryRules = {
    secrets,
    headers: [...new Set(plan.headers.map((header) => header.toLowerCase()))],
    redactPath: redact.path && guardPath(redact.path, callbacks),
    hasRouteAndTrace: needsAll,
  };
  checker.done();
  return {
    ...plan,
    ...{ rules, line, callbacks, write: writerOf({ line, schema, logger, stream, callbacks }) },
    /** The given logger, if its records can have a stack: a `recover` with the same logger then leaves errors to them. */
    takesErrors: logger && !immediate && hasErrorField(given.format) ? (given.logger as object) : undefined,
    /** Only if the figure is used: counting wraps two methods of each response. */
    countsBytes: !immediate && needsAll,
  };
}

/** A text format or the app's own format may not show the error at all. */
function hasErrorField(format: unknown): boolean {
  return format === undefined || format === "json";
}

/** `morgan("combined")` takes the format as its argument; this is the most common mistake of its users. */
function refuseMorganForm(options: unknown): void {
  if (typeof options !== "string" && typeof options !== "function") return;
  const wanted = typeof options === "string" ? JSON.stringify(options) : "(entry, req, res) => ...";
  const reason = `must be an object of options; write requestLog({ format: ${wanted} })`;
  throw new ConfigError(SUBJECT, [{ option: "options", value: options, reason }]);
}

function guardPath(path: NonNullable<RedactOptions["path"]>, callbacks: Callbacks): Redaction["redactPath"] {
  return function redactPath(text, req) {
    try {
      const redacted: unknown = path(text, req as Request);
      if (typeof redacted === "string") return redacted;
      callbacks.returned("redact.path", "a string", redacted);
    } catch (fault) {
      callbacks.threw("redact.path", fault);
    }
    return "/REDACTED"; // a path that could not be redacted is not logged
  };
}
