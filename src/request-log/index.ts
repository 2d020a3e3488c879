import type { IncomingMessage, ServerResponse } from "node:http";
import type { Request, Response } from "express";
import { describeHandler, type Handler } from "../lib/express/handler.js";
import { releaseError, takeError } from "../lib/log/error-record.js";
import { knownState, type UnloggedError } from "../lib/request/state.js";
import { adopt } from "../lib/request/transport.js";
import { onEnd } from "../lib/response/end-hooks.js";
import { beforeHead, countSentBytes } from "../lib/response/intercept.js";
import { outcomeOf } from "../lib/response/outcome.js";
import { type Arrival, connectionOf, noteArrival } from "./arrival.js";
import { entryAtEnd, entryAtStart, type RequestLogEntry } from "./entry.js";
import { atLeastWarn, type Level } from "./level.js";
import { checkOptions, type RequestLogOptions, type RequestLogPlan } from "./options.js";

export type { Refusal } from "../lib/request/state.js";
export type { RequestLogEntry } from "./entry.js";
export type { Level as RequestLogLevel } from "./level.js";
export type { RedactOptions, RequestLogOptions } from "./options.js";

/**
 * Writes one record for each request, when its response has ended or its client has left.
 *
 * Goes after `requestContext`, so that it can log the request id, and before everything else: middleware before it is
 * neither timed nor logged. Durations are milliseconds of a monotonic clock. A client cannot add a line of its own, and
 * secret headers and query values are never logged. If a callback of the options throws, that is reported once, and the
 * request goes on. Requests that Node's parser refuses are not logged; whether the client received the response is not
 * known.
 *
 * @example
 * app.use(requestLog());
 *
 * @example
 * app.use(
 *   requestLog({
 *     format: "combined",
 *     ignore: (req) => req.path === "/healthz",
 *     redact: { query: ["session"] },
 *   }),
 * );
 *
 * @throws {ConfigError} names all problems of the options at once
 * @see docs/request-log.md
 */
export function requestLog(options?: RequestLogOptions): Handler {
  const log = checkOptions(options);

  return describeHandler(
    function requestLog(req, res, next) {
      adopt(req, res);
      const inspection = knownState(req)?.inspection;
      if (inspection !== undefined) inspection.redaction ??= log.rules;
      if (log.ignore === undefined || !log.callbacks.ask("ignore", log.ignore, req, res))
        logRequest(log, req, res);
      next();
    },
    { concern: "log", plain: usesDefaults(options) },
  );
}

type LoggedArrival = Arrival<RequestLogPlan>;

/** With an output or a filter of its own, a log may be the app's second one on purpose. */
function usesDefaults(options: RequestLogOptions = {}): boolean {
  const { format, logger, stream, ignore, skip } = options;
  return [format, logger, stream, ignore, skip].every((option) => option === undefined);
}

function logRequest(log: RequestLogPlan, req: Request, res: Response): void {
  const arrival = noteArrival(log, req);
  if (arrival === undefined) return;
  if (log.schema !== "plain") connectionOf(req); // the connection is gone when the response ends
  if (log.immediate) {
    writeAtStart(arrival, res);
    if (log.serverTiming !== false) beforeHead(res, noteHead, arrival);
    return;
  }
  beforeHead(res, noteHead, arrival);
  if (log.countsBytes) countSentBytes(res);
  onEnd(req, res, writeAtEnd, arrival);
}

/** The first attempt to write the head counts: Node may refuse it, and a second one follows. */
function noteHead(res: ServerResponse, arrival: LoggedArrival): void {
  if (arrival.headMs < 0) arrival.headMs = performance.now() - arrival.startedMs;
  const { log, req } = arrival;
  if (log.serverTiming === false || arrival.timingSent) return;
  arrival.timingSent = true;
  if (log.serverTiming === true || log.callbacks.ask("serverTiming", log.serverTiming, req, res)) {
    addServerTiming(res, arrival.headMs);
  }
}

function writeAtStart(arrival: LoggedArrival, res: Response): void {
  const { log, req } = arrival;
  if (log.skip !== undefined && log.callbacks.ask("skip", log.skip, req, res)) return;
  write(arrival, entryAtStart(log.rules, arrival), res);
}

/** Writes the record when the response has ended or the client has left. */
function writeAtEnd(res: ServerResponse, arrival: LoggedArrival): void {
  const { log, req, state } = arrival;
  arrival.isOpen = false;
  const outcome = outcomeOf(req, res, arrival.socket);
  const entry = entryAtEnd(log.rules, arrival, res, outcome);
  if (log.skip !== undefined && isSkipped(log, log.skip, entry.status, req, res)) {
    releaseError(state);
    return;
  }
  const unlogged = takeError(state, arrival);
  if (unlogged !== undefined) addError(entry, unlogged);
  if (entry.durationMs >= log.slowMs) setLevel(entry, atLeastWarn(entry.level));
  const isWritten = write(arrival, entry, res);
  if (!isWritten) unlogged?.log();
}

/** Adds what `recover` would have logged in a record of its own. */
function addError(entry: RequestLogEntry, { stack, level }: UnloggedError): void {
  if (level === "error") setLevel(entry, level);
  if (stack !== undefined) (entry.error as { stack?: string }).stack = stack;
}

/** Returns false if the logger threw. */
function write(arrival: LoggedArrival, entry: RequestLogEntry, res: ServerResponse): boolean {
  const { log } = arrival;
  if (log.level !== undefined) {
    const level = log.callbacks.askLevel(log.level, entry);
    if (level !== undefined) setLevel(entry, level);
  }
  const { inspection } = arrival.state;
  if (inspection !== undefined) inspection.record ??= entry;
  return log.write(entry, arrival, res);
}

/** Sets `res.statusCode` to the logged status for the call of `skip`; it is still 200 if no head was sent. */
function isSkipped(
  log: RequestLogPlan,
  skip: NonNullable<RequestLogPlan["skip"]>,
  status: number,
  req: IncomingMessage,
  res: ServerResponse,
): boolean {
  const { statusCode } = res;
  if (status === statusCode) return log.callbacks.ask("skip", skip, req, res);
  res.statusCode = status;
  const skipped = log.callbacks.ask("skip", skip, req, res);
  res.statusCode = statusCode;
  return skipped;
}

function setLevel(entry: RequestLogEntry, level: Level): void {
  (entry as { level: Level }).level = level;
}

/**
 * Adds the time to the head to the response's Server-Timing, after metrics that are already there. The time for the
 * body is not known yet.
 *
 * @see https://www.w3.org/TR/server-timing/
 */
function addServerTiming(res: ServerResponse, headMs: number): void {
  if (res.headersSent || res.statusCode < 200) return;
  const metric = `total;dur=${headMs.toFixed(1)}`;
  const present = res.getHeader("server-timing");
  const before = Array.isArray(present) ? present.join(", ") : present;
  res.setHeader("Server-Timing", before === undefined || before === "" ? metric : `${before}, ${metric}`);
}
