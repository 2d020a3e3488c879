import type { IncomingMessage, ServerResponse } from "node:http";
import type { Logger } from "../lib/log/logger.js";
import { isThenable } from "../lib/values/thrown.js";
import type { RequestLogEntry } from "./entry.js";
import { jsonLine } from "./json.js";
import type { RequestLogPlan } from "./options.js";
import { mapEntry } from "./schemas.js";
import { type LineWriter, lineWriterFor } from "./sink.js";

/** The plan of a log, with the function that writes its records. */
export interface Log extends RequestLogPlan {
  /** Returns false if the logger threw. */
  readonly write: (entry: RequestLogEntry, req: IncomingMessage, res: ServerResponse) => boolean;
}

export function logFor(plan: RequestLogPlan): Log {
  return { ...plan, write: plan.logger === undefined ? toStream(plan) : toLogger(plan, plan.logger) };
}

function toStream(plan: RequestLogPlan): Log["write"] {
  let writer: LineWriter | undefined;
  return function writeToStream(entry, req, res) {
    const line = lineOf(plan, entry, req, res);
    if (line !== undefined) (writer ??= lineWriterFor(plan.stream)).add(line);
    return true;
  };
}

function toLogger(plan: RequestLogPlan, logger: Logger): Log["write"] {
  return function writeToLogger(entry, req, res) {
    const message = lineOf(plan, entry, req, res);
    if (message === undefined) return true;
    try {
      const result: unknown = logger[entry.level](fieldsOf(plan, entry, req), message);
      if (isThenable(result)) result.then(undefined, (fault: unknown) => plan.faults.threw("logger", fault));
    } catch (fault) {
      plan.faults.threw("logger", fault);
      return false;
    }
    return true;
  };
}

/** If the format fails, the record is written as JSON instead. */
function lineOf(
  plan: RequestLogPlan,
  entry: RequestLogEntry,
  req: IncomingMessage,
  res: ServerResponse,
): string | undefined {
  try {
    const line: unknown = plan.line(entry, req, res);
    if (typeof line === "string" || line === undefined) return line as string | undefined;
    plan.faults.returned("format", "a string, or undefined for no line", line);
  } catch (fault) {
    plan.faults.threw("format", fault);
  }
  return jsonLine(entry);
}

/** Fields left out because the logger writes its own time, level and message. */
const LOGGER_FIELDS = new Set([
  ...["time", "level"],
  ...["@timestamp", "log.level", "message"],
  ...["timestamp", "severity_text", "severity_number", "body"],
]);

function fieldsOf(plan: RequestLogPlan, entry: RequestLogEntry, req: IncomingMessage): object {
  const all = plan.schema === "plain" ? entry : mapEntry[plan.schema](entry, req);
  return Object.fromEntries(
    Object.entries(all).filter(([name, value]) => value !== undefined && !LOGGER_FIELDS.has(name)),
  );
}
