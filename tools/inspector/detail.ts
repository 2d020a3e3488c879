import type { IncomingMessage } from "node:http";
import { routeOf } from "../../src/lib/express/route-template.js";
import { pathOf, queryOf } from "../../src/lib/http/target.js";
import { type Redaction, redactQuery } from "../../src/lib/log/redact.js";
import { stateOf } from "../../src/lib/request/state.js";
import { sentBytes } from "../../src/lib/response/intercept.js";
import { finalStatus, type Outcome, outcomeOf } from "../../src/lib/response/outcome.js";
import { faultOf, type RecordedCall, round } from "./call.js";
import { decisionsOf, type Facts } from "./decisions.js";
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
    answeredBy: undefined,
    marks: [],
  };
}

/** All about a request that has ended. */
export function detailOf(recording: Recording): Detail {
  const { req, res, inspection, socket, calls, clock } = recording;
  const state = stateOf(req);
  const redaction = inspection.redaction ?? DEFAULT_REDACTION;
  const outcome = outcomeOf(req, res, socket);
  const answerer = answererOf(recording, outcome);
  const failed = failedCall(calls);
  const fault = failed?.fault ?? (state.failed ? faultOf(state.error) : undefined);
  const status = finalStatus(res, outcome, fault !== undefined);
  const route = state.route ?? routeOf(req, (req as { app?: unknown }).app);
  const responded = responseHeaders(res, recording.headers, redaction);
  if (answerer.ending === undefined && res.headersSent) answerer.ending = "answered";
  const sent = (name: string) => sentValue(responded, name);
  const facts: Facts = {
    method: req.method ?? "",
    headers: redactedHeaders(req, redaction),
    state,
    status,
    outcome,
    isHeadSent: res.headersSent,
    route,
    concerns: new Set(calls.map(({ layer }) => layer.concern ?? "")),
    sent,
    answeredBy: nameOf(answerer),
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
      answeredBy: res.headersSent ? nameOf(answerer) : undefined,
      marks: marksOf(recording, outcome, fault),
    },
    httpVersion: req.httpVersion,
    remoteAddress: recording.remoteAddress,
    scheme: isTls(req) ? "https" : "http",
    host: (req.headers.host ?? (req.headers[":authority"] as string | undefined))?.slice(0, 260),
    requestHeaders: requestHeaders(req, redaction),
    responseHeaders: res.headersSent ? responded : [],
    calls: calls.map((call) => call.report()),
    callsLeftOut: recording.callsLeftOut,
    answerer: res.headersSent ? answerer.index : -1,
    sendingMs: round(recording.sending.down + recording.sending.held),
    bytes: sentBytes(res),
    decisions: decisionsOf(facts),
    fault,
    record: inspection.record,
    reports: inspection.reports,
  };
}

const HOW: Readonly<Record<string, string>> = {
  threw: "threw",
  rejected: "rejected with",
  "passed an error": "passed on",
};

/** The call where an error began. */
function failedCall(calls: readonly RecordedCall[]): RecordedCall | undefined {
  const failed = calls.filter(({ fault }) => fault !== undefined);
  return failed.find(({ ending }) => ending === "threw" || ending === "rejected") ?? failed[0];
}

/** A timeout or a body limit answers while a handler holds the request. */
function answererOf({ req, calls, answerer }: Recording, outcome: Outcome): RecordedCall {
  const { refused } = stateOf(req);
  if (refused === undefined || outcome === "truncated" || answerer.layer.concern === refused.by)
    return answerer;
  if (refused.by !== "timeout" && refused.by !== "bodyLimit") return answerer;
  return calls.findLast(({ layer }) => layer.concern === refused.by) ?? answerer;
}

function nameOf({ layer, path, index, around }: RecordedCall): string {
  if (index === 0) return "Express";
  const route = around?.layer.kind === "route" ? `${around.layer.name} ${path}` : undefined;
  if (route !== undefined) return layer.name === "" ? `the handler of ${route}` : `${layer.name} of ${route}`;
  const name = layer.kind === "router" ? "a router" : layer.name || "an unnamed function";
  return path === "/" || path === "" ? name : `${name} (${path})`;
}

function marksOf({ req }: Recording, outcome: Outcome, fault: Fault | undefined): Mark[] {
  const { refused, timedOut, cache } = stateOf(req);
  const marks: Mark[] = [];
  if (timedOut) marks.push({ kind: "timeout", text: "timed out" });
  else if (refused !== undefined) marks.push({ kind: "refused", text: `${refused.by}: ${refused.reason}` });
  if (fault !== undefined) marks.push({ kind: "error", text: fault.type });
  // A miss is the usual case; the decisions say why.
  if (cache === "hit" || cache === "stale") marks.push({ kind: "cache", text: `cache ${cache}` });
  if (outcome === "aborted") marks.push({ kind: "aborted", text: "client left" });
  if (outcome === "truncated" && fault === undefined) marks.push({ kind: "error", text: "truncated" });
  return marks;
}

function sentValue(headers: Detail["responseHeaders"], name: string): string | undefined {
  const values = headers.filter((header) => header.name.toLowerCase() === name).map(({ value }) => value);
  return values.length === 0 ? undefined : values.join(", ");
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
