import type { IncomingMessage } from "node:http";
import type { Request, Response } from "express";
import type { Checker } from "../../lib/config/checker.js";
import type { Logger } from "../../lib/log/logger.js";
import type { SecretNames } from "../../lib/log/redact.js";
import type { Fields, RequestLogEntry } from "../entry.js";
import { escapeLine, jsonString } from "../escape.js";
import { type DevStyle, devFormat, terminalOf, wantsColours } from "./dev.js";
import { toEcs } from "./ecs.js";
import {
  compileMorgan,
  compileMorganFunction,
  expectsTokens,
  type FormatProblem,
  type LineFormat,
} from "./morgan.js";
import { toOtel } from "./otel.js";

const FORMAT_HINT =
  'must be "json", "dev", a morgan format ("combined", ":method :url :status"), or a function (entry, req, res) that returns a line';

const FOR_MORGAN =
  "a format function gets (entry, req, res); give one for morgan's tokens by name: morgan.format(name, fn), then format: name";

type CustomFormat = (entry: RequestLogEntry, req: Request, res: Response) => unknown;

/** The format of the lines by the options; `name` is empty for a function. */
export function checkFormat(
  checker: Checker,
  stream: object,
  logger: Logger | undefined,
  schema: Schema,
  secrets: SecretNames,
): { line: LineFormat; name: string } {
  const { format } = checker.options;
  const terminal = terminalOf(stream);
  // A logger writes JSON itself, so its message is the readable line.
  const byDefault = logger === undefined && (terminal === undefined || schema !== "plain") ? "json" : "dev";
  const given = format === undefined ? byDefault : format;
  const isText = typeof given === "string";
  if (!isText && typeof given !== "function") {
    checker.add("format", FORMAT_HINT);
    return { line: () => undefined, name: "" };
  }
  if (schema !== "plain" && given !== "json" && logger === undefined) {
    checker.add("schema", 'is for format: "json" (and for a logger); leave one of them out');
  }
  const colours = logger === undefined && wantsColours(stream);
  const slowMs = (checker.options.slowMs as number | undefined) ?? Number.POSITIVE_INFINITY; // checked by checkSlow
  const style = { slowMs, colours, terminal: colours ? terminal : undefined };
  const chosen = chooseFormat(given as never, schema, secrets, style);
  if (typeof chosen === "function") return { line: chosen, name: isText ? given : "" };
  checker.add("format", chosen.problem);
  return { line: () => undefined, name: "" };
}

/** Returns the function that writes the lines, or the problem of the format. */
function chooseFormat(
  format: string | CustomFormat,
  schema: Schema,
  secrets: SecretNames,
  style: DevStyle,
): LineFormat | FormatProblem {
  if (typeof format === "function") return compileMorganFunction(format, secrets) ?? custom(format);
  if (format === "dev") return devFormat(style);
  if (format !== "json") return compileMorgan(format, secrets);
  return schema === "plain" ? jsonLine : (entry, req) => jsonRecord(mapEntry[schema](entry, req));
}

function custom(format: CustomFormat): LineFormat {
  return function customLine(entry, req, res) {
    let line: unknown;
    try {
      line = format(entry, req as Request, res as Response);
    } catch (fault) {
      throw expectsTokens(fault) ? new TypeError(FOR_MORGAN, { cause: fault }) : fault;
    }
    // The caller checks a result that is not a string.
    return typeof line === "string" ? escapeLine(line) : (line as undefined);
  };
}

export const SCHEMAS = ["plain", "ecs", "otel"] as const;
export type Schema = (typeof SCHEMAS)[number];

/** Functions that return an entry with the names and units of a schema, flat, with dotted names. */
export const mapEntry: Readonly<
  Record<Exclude<Schema, "plain">, (entry: RequestLogEntry, req: IncomingMessage) => Fields>
> = { ecs: toEcs, otel: toOtel };

/**
 * Same text as `JSON.stringify(entry)`, in a fraction of the time, because the fields are known and few values need
 * escapes. Control characters that JSON allows are escaped too.
 */
export function jsonLine(entry: RequestLogEntry): string {
  let line = `{"time":"${entry.time}","level":"${entry.level}"`;
  if (entry.requestId !== undefined) line += `,"requestId":${jsonString(entry.requestId)}`;
  if (entry.traceId !== undefined) line += `,"traceId":${jsonString(entry.traceId)}`;
  line += `,"method":${jsonString(entry.method)},"path":${jsonString(entry.path)}`;
  if (entry.query !== undefined) line += `,"query":${jsonString(entry.query)}`;
  if (entry.route !== undefined) line += `,"route":${jsonString(entry.route)}`;
  line += `,"status":${entry.status},"durationMs":${entry.durationMs}`;
  if (entry.headersMs !== undefined) line += `,"headersMs":${entry.headersMs}`;
  if (entry.responseBytes !== undefined) line += `,"responseBytes":${entry.responseBytes}`;
  line += `,"remoteAddress":${jsonString(entry.remoteAddress)},"httpVersion":${jsonString(entry.httpVersion)}`;
  if (entry.userAgent !== undefined) line += `,"userAgent":${jsonString(entry.userAgent)}`;
  if (entry.referrer !== undefined) line += `,"referrer":${jsonString(entry.referrer)}`;
  if (entry.user !== undefined) line += `,"user":${escapeLine(JSON.stringify(entry.user))}`;
  if (entry.aborted) line += ',"aborted":true';
  if (entry.timedOut) line += ',"timedOut":true';
  if (entry.cache !== undefined) line += `,"cache":${jsonString(entry.cache)}`;
  if (entry.refused !== undefined) {
    line += `,"refused":{"by":${jsonString(entry.refused.by)},"reason":${jsonString(entry.refused.reason)}}`;
  }
  if (entry.error !== undefined) {
    line += `,"error":{"type":${jsonString(entry.error.type)},"message":${jsonString(entry.error.message)}`;
    line += entry.error.stack === undefined ? "}" : `,"stack":${jsonString(entry.error.stack)}}`;
  }
  if (entry.headers !== undefined) line += `,"headers":${jsonRecord(entry.headers)}`;
  if (entry.immediate) line += ',"immediate":true';
  return line + "}";
}

/** JSON of any record; undefined members are left out. */
function jsonRecord(record: Readonly<Record<string, unknown>>): string {
  return escapeLine(JSON.stringify(record));
}
