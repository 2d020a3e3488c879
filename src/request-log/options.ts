import type { Request, Response } from "express";
import { type Bag, Checker, isBag } from "../lib/config/checker.js";
import { ConfigError } from "../lib/config/config-error.js";
import { isToken } from "../lib/http/tokens.js";
import { checkLogger, type Logger } from "../lib/log/logger.js";
import { Callbacks } from "./callbacks.js";
import { type EntryRules, LEVELS, type Level, type RequestLogEntry } from "./entry.js";
import { FOREIGN } from "./foreign.js";
import { checkFormat, SCHEMAS, type Schema } from "./formats/index.js";
import { secretNames } from "./redact.js";
import { type LineStream, type Output, type WriteRecord, writerOf } from "./writer.js";

export interface RequestLogOptions {
  /**
   * `"json"`, `"dev"`, a morgan format by name or as a string (`":method :url :status"`), or a function that returns
   * the line (undefined: no line).
   *
   * @defaultValue `"dev"` if the stream is a terminal, else `"json"`
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
  /**
   * Field names in JSON: our own, Elastic Common Schema, or OpenTelemetry.
   *
   * @defaultValue `"plain"`
   */
  readonly schema?: Schema | undefined;
  /** Receives each entry, with a readable line as the message: pino, winston, bunyan, console. Instead of `stream`. */
  readonly logger?: Logger | undefined;
  /**
   * Receives the lines. An object that is not a Node stream gets each line in its own call.
   *
   * @defaultValue standard output
   */
  readonly stream?: LineStream | undefined;
  /** Called when the response has ended, with `res.statusCode` as it will be logged; true leaves the request out. */
  readonly skip?: ((req: Request, res: Response) => boolean) | undefined;
  /** Called when the request arrives, before any other work; true leaves the request out. */
  readonly ignore?: ((req: Request) => boolean) | undefined;
  /** Returns the level. The level by the built-in rule is in `entry.level`. */
  readonly level?: ((entry: RequestLogEntry) => Level) | undefined;
  /**
   * Names of request headers to log, in JSON and in entries. Secret ones stay `REDACTED`.
   *
   * @defaultValue none
   */
  readonly headers?: string | readonly string[] | undefined;
  readonly redact?: RedactOptions | undefined;
  /**
   * Log when the request arrives instead, when nothing is known about the response.
   *
   * @defaultValue `false`
   */
  readonly immediate?: boolean | undefined;
  /**
   * From this duration in milliseconds, the level is at least warn and the `dev` line says `slow`.
   *
   * @defaultValue none
   */
  readonly slowMs?: number | undefined;
  /**
   * Whether responses carry the time to the head as `Server-Timing: total;dur=12.3`. Every client can read it: use a
   * predicate in production.
   *
   * @defaultValue `false`
   */
  readonly serverTiming?: boolean | ((req: Request, res: Response) => boolean) | undefined;
}

export interface RedactOptions {
  /** Names of more query parameters with secret values, matched in any case. */
  readonly query?: string | readonly string[] | undefined;
  /** Receives a path (of the request, and of the referrer) and returns the path to log. */
  readonly path?: ((path: string, req: Request) => string) | undefined;
}

type Predicate = (req: Request, res: Response) => unknown;

export interface RequestLogPlan extends Output {
  readonly write: WriteRecord;
  readonly rules: EntryRules;
  /** The given logger, if its records can have a stack: a `recover` with the same logger then leaves errors to them. */
  readonly takesErrors: object | undefined;
  readonly skip: Predicate | undefined;
  readonly ignore: ((req: Request) => unknown) | undefined;
  readonly level: RequestLogOptions["level"];
  readonly immediate: boolean;
  readonly slowMs: number;
  readonly serverTiming: boolean | Predicate;
  /** Only if the figure is used: counting wraps two methods of each response. */
  readonly countsBytes: boolean;
}

const KNOWN = [
  "format",
  "schema",
  "logger",
  "stream",
  "skip",
  "ignore",
  "level",
  "headers",
  "redact",
  "immediate",
  "slowMs",
  "serverTiming",
] as const satisfies (keyof RequestLogOptions)[];
const KNOWN_REDACT = ["query", "path"] as const satisfies (keyof RedactOptions)[];
const SUBJECT = "requestLog()";
const DAY_MS = 86_400_000;

export function checkOptions(options: RequestLogOptions | undefined): RequestLogPlan {
  refuseMorganForm(options);
  const checker = Checker.of(SUBJECT, options, KNOWN, "", FOREIGN);
  const callbacks = new Callbacks();
  const logger = checkLogger(checker);
  const stream = checkStream(checker);
  const redact = checkRedact(checker);
  const secrets = secretNames(redact.query);
  const schema = checker.oneOf("schema", SCHEMAS, "plain");
  const immediate = checker.boolean("immediate", false);
  const { line, name } = checkFormat(checker, stream, logger, schema, secrets);
  const level = checker.function<RequestLogOptions["level"]>("level", levelHint(checker.options.level));
  const plan: Omit<RequestLogPlan, "write"> = {
    rules: {
      secrets,
      headers: checkHeaders(checker),
      redactPath: redact.path && guardPath(redact.path, callbacks),
    },
    line,
    schema,
    logger,
    takesErrors:
      logger && !immediate && hasErrorField(checker.options.format)
        ? (checker.options.logger as object)
        : undefined,
    stream,
    skip: checker.function("skip", "must be a function (req, res) that returns true or false"),
    ignore: checker.function("ignore", "must be a function of the request that returns true or false"),
    level: level ?? undefined,
    immediate,
    slowMs: checkSlow(checker, immediate),
    serverTiming: checkServerTiming(checker),
    countsBytes:
      !immediate && (name === "json" || name === "" || logger !== undefined || level !== undefined),
    callbacks,
  };
  checker.done();
  return { ...plan, write: writerOf(plan) };
}

function levelHint(given: unknown): string {
  const meant = LEVELS.find((level) => level === given);
  return `must be a function of the entry${meant === undefined ? "" : `; write () => "${meant}"`}`;
}

/** A text format or the app's own format may not show the error at all. */
function hasErrorField(format: unknown): boolean {
  return format === undefined || format === "json";
}

/** `morgan("combined")` takes the format as its argument; this is the most common mistake of its users. */
function refuseMorganForm(options: unknown): void {
  if (typeof options !== "string" && typeof options !== "function") return;
  const wanted = typeof options === "string" ? JSON.stringify(options) : "(entry, req, res) => ...";
  throw new ConfigError(SUBJECT, [
    {
      option: "options",
      value: options,
      reason: `must be an object of options; write requestLog({ format: ${wanted} })`,
    },
  ]);
}

function checkStream(checker: Checker): LineStream {
  const { stream, logger } = checker.options;
  if (stream === undefined) return process.stdout;
  if (logger !== undefined) checker.add("stream", "cannot be combined with logger; leave one of them out");
  if (typeof (stream as Partial<LineStream> | null)?.write === "function") return stream as LineStream;
  const hint = stream === null ? "; leave it out for standard output" : "";
  checker.add(
    "stream",
    `must have a method write(line), as process.stdout and every writable stream do${hint}`,
  );
  return process.stdout;
}

function checkHeaders(checker: Checker): string[] {
  const names = checker.names("headers") ?? [];
  const wrong = names.find((name) => !isToken(name));
  if (wrong !== undefined) {
    checker.add("headers", `has ${JSON.stringify(wrong)}, which is not a header's name, such as "accept"`);
  }
  return [...new Set(names.map((name) => name.toLowerCase()))];
}

function checkRedact(checker: Checker): { query: string[]; path: RedactOptions["path"] } {
  const given = checker.options.redact;
  if (given !== undefined && !isBag(given)) {
    checker.add("redact", 'must be an object, such as { query: ["session"], path: (path) => path }');
    return { query: [], path: undefined };
  }
  const inner = Checker.of(SUBJECT, given as Bag | undefined, KNOWN_REDACT, "redact.");
  const query = inner.names("query") ?? [];
  const path = inner.function<RedactOptions["path"]>(
    "path",
    "must be a function (path, req) that returns a path",
  );
  checker.problems.push(...inner.problems);
  return { query, path };
}

function guardPath(path: NonNullable<RedactOptions["path"]>, callbacks: Callbacks): EntryRules["redactPath"] {
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

function checkSlow(checker: Checker, immediate: boolean): number {
  const slowMs = checker.integer("slowMs", { min: 1, max: DAY_MS, unit: "milliseconds" });
  if (slowMs !== undefined && immediate) {
    checker.add("slowMs", "has no effect with immediate, which knows no duration; leave one of them out");
  }
  return slowMs ?? Number.POSITIVE_INFINITY;
}

function checkServerTiming(checker: Checker): RequestLogPlan["serverTiming"] {
  const given = checker.options.serverTiming ?? false;
  if (typeof given === "boolean" || typeof given === "function") return given as boolean;
  checker.add("serverTiming", "must be true, false, or a function (req, res) that returns one of them");
  return false;
}
