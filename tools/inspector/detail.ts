import type { IncomingMessage } from "node:http";
import { routeOf } from "../../src/lib/express/route-template.js";
import { pathOf, queryOf } from "../../src/lib/http/target.js";
import { type Redaction, redactQuery } from "../../src/lib/log/redact.js";
import { stateOf } from "../../src/lib/request/state.js";
import { sentBytes } from "../../src/lib/response/intercept.js";
import { finalStatus, type Outcome, outcomeOf } from "../../src/lib/response/outcome.js";
import { shortReason } from "./cache-words.js";
import { faultOf, type RecordedCall, round } from "./call.js";
import { decisionsOf, type Facts } from "./decisions.js";
import { nameOf, positionOf, shortNameOf } from "./layer-names.js";
import { withoutQuotedBodies } from "./quoted-body.js";
import type { Recording } from "./recording.js";
import type { Detail, Fault, Mark, Summary } from "./report.js";
import { cut, DEFAULT_REDACTION, requestHeaders, responseHeaders } from "./shown-headers.js";

/** What the list shows of a request in flight. */
export function summaryOf(recording: Recording): Summary {
  const { id, time, req, inspection } = recording;
  const { secrets, redactPath } = inspection.redaction ?? DEFAULT_REDACTION;
  const path = pathOf(req);
  const query = queryOf(req);
  return {
    id,
    time,
    method: (req.method ?? "").slice(0, 32),
    path: cut(redactPath === undefined ? path : redactPath(path, req)),
    query: query === undefined ? undefined : cut(redactQuery(query, secrets)),
    route: undefined,
    status: undefined,
    totalMs: undefined,
    outcome: undefined,
    openMs: undefined,
    answeredBy: undefined,
    failure: undefined,
    marks: [],
  };
}

/** All about a request that has ended. */
export function detailOf(recording: Recording): Detail {
  const { req, res, inspection, socket, calls, clock, openMs } = recording;
  const state = stateOf(req);
  const redaction = inspection.redaction ?? DEFAULT_REDACTION;
  const outcome = recording.hasSwitched ? "upgraded" : outcomeOf(req, res, socket);
  const answerer = answererOf(recording, outcome);
  const failed = failedCall(calls);
  const fault = failed?.fault ?? (state.failed ? faultOf(state.error) : undefined);
  const status = finalStatus(res, outcome, fault !== undefined);
  const route = state.route ?? routeOf(req, (req as { app?: unknown }).app);
  const responded = responseHeaders(res, recording.headers, redaction);
  // A handler that refuses an upgrade writes its answer to the connection.
  const isAnswered = res.headersSent || (state.takenOver ?? 0) > 0;
  if (answerer.ending === undefined && isAnswered) answerer.ending = "answered";
  const sent = (name: string) => sentValue(responded, name);
  const facts: Facts = {
    method: req.method ?? "",
    headers: redactedHeaders(req, redaction),
    state,
    status,
    outcome,
    isHeadSent: isAnswered,
    route,
    concerns: new Set(calls.map(({ layer }) => layer.concern ?? "")),
    sent,
    setBy: (name) => settersOf(responded, name, calls),
    answeredBy: nameOf(answerer),
    isExplained: answerer.layer.concern !== undefined || fault !== undefined || !isAnswered,
    position: answerer.index === 0 ? "" : `, ${positionOf(answerer, calls)}`,
    failed: failed && {
      name: nameOf(failed),
      how: HOW[failed.ending ?? ""] ?? "failed with",
      fault: failed.fault!,
    },
  };
  return {
    summary: {
      ...summaryOf(recording),
      route,
      status,
      totalMs: round(clock.elapsed),
      outcome,
      openMs: openMs === undefined ? undefined : round(openMs),
      answeredBy: isAnswered ? nameOf(answerer) : undefined,
      failure: facts.failed && {
        name: facts.failed.name,
        how: facts.failed.how,
        type: facts.failed.fault.type,
      },
      marks: marksOf(recording, facts, fault),
    },
    ...connectionOf(req, recording.remoteAddress),
    requestHeaders: requestHeaders(req, redaction),
    responseHeaders: res.headersSent ? responded : [],
    calls: calls.map((call) => call.report()),
    callsLeftOut: recording.callsLeftOut,
    answerer: isAnswered ? answerer.index : -1,
    sendingMs: round(recording.sending.down + recording.sending.held),
    bytes: sentBytes(res),
    decisions: decisionsOf(facts),
    fault,
    record: withoutQuotedBodies(inspection.record),
    reports: inspection.reports,
  };
}

export function connectionOf(
  req: IncomingMessage,
  remoteAddress: string | undefined,
): Pick<Detail, "httpVersion" | "remoteAddress" | "scheme" | "host"> {
  const { host = req.headers[":authority"] as string | undefined } = req.headers;
  return {
    httpVersion: req.httpVersion,
    remoteAddress,
    scheme: isTls(req) ? "https" : "http",
    host: host?.slice(0, 260),
  };
}

const HOW: Readonly<Record<string, string>> = {
  threw: "threw",
  rejected: "rejected with",
  "passed an error": "passed on",
  "passed on": "passed on",
};

/** The call where an error began. */
function failedCall(calls: readonly RecordedCall[]): RecordedCall | undefined {
  const failed = calls.filter(({ fault }) => fault !== undefined);
  const thrower = failed.find(({ ending }) => ending === "threw" || ending === "rejected");
  // A route or a router passes on what a layer in it has passed.
  return thrower ?? failed.find((call) => !failed.some(({ around }) => around === call));
}

/** A timeout or a body limit answers while a handler holds the request. */
function answererOf({ req, calls, answerer }: Recording, outcome: Outcome): RecordedCall {
  const { refused } = stateOf(req);
  if (refused === undefined || outcome === "truncated" || answerer.layer.concern === refused.by)
    return answerer;
  if (refused.by !== "timeout" && refused.by !== "bodyLimit") return answerer;
  return calls.findLast(({ layer }) => layer.concern === refused.by) ?? answerer;
}

function marksOf(
  { req }: Recording,
  { status, outcome, failed, concerns, sent }: Facts,
  fault: Fault | undefined,
): Mark[] {
  const { refused, timedOut, cache } = stateOf(req);
  const marks: Mark[] = [];
  if (timedOut) marks.push({ kind: "timeout", text: "timed out" });
  else if (refused !== undefined) marks.push({ kind: "refused", text: `${refused.by}: ${refused.reason}` });
  if (fault !== undefined && failed === undefined) marks.push({ kind: "error", text: fault.type });
  // That an answer was stored is the usual case, and so is that an error was not.
  const notCached = concerns.has("cache") && status < 400 ? shortReason(sent("cache-status")) : undefined;
  if (cache === "hit" || cache === "stale") marks.push({ kind: "cache", text: `cache ${cache}` });
  else if (notCached !== undefined) marks.push({ kind: "not cached", text: notCached });
  if (outcome === "aborted") marks.push({ kind: "aborted", text: "client left" });
  if (outcome === "truncated" && fault === undefined) marks.push({ kind: "error", text: "truncated" });
  return marks;
}

function sentValue(headers: Detail["responseHeaders"], name: string): string | undefined {
  const values = headers.filter((header) => header.name.toLowerCase() === name).map(({ value }) => value);
  return values.length === 0 ? undefined : values.join(", ");
}

/** `cors, then the handler`; undefined if no layer has set it. */
function settersOf(
  headers: Detail["responseHeaders"],
  name: string,
  calls: readonly RecordedCall[],
): string | undefined {
  const found = headers.find((header) => header.name.toLowerCase() === name)?.setBy ?? [];
  return found.map((index) => shortNameOf(calls[index]!)).join(", then ") || undefined;
}

/** The decisions quote request headers. */
function redactedHeaders(req: IncomingMessage, redaction: Redaction): Record<string, string> {
  return Object.fromEntries(
    requestHeaders(req, redaction).map(({ name, value }) => [name.toLowerCase(), value]),
  );
}

function isTls({ socket }: IncomingMessage): boolean {
  return (socket as { encrypted?: boolean } | undefined)?.encrypted === true;
}
