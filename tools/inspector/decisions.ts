import type { IncomingHttpHeaders } from "node:http";
import type { Refusal, RequestState } from "../../src/lib/request/state.js";
import type { Outcome } from "../../src/lib/response/outcome.js";
import { cacheDecisions } from "./cache-words.js";
import { placeOf } from "./code-place.js";
import type { Decision, Fault } from "./report.js";

/** What the decisions are read from. */
export interface Facts {
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
  readonly state: RequestState;
  readonly status: number;
  readonly outcome: Outcome;
  readonly isHeadSent: boolean;
  readonly route: string | undefined;
  /** The middleware of this package that were called: `cors`, `auth`. */
  readonly concerns: ReadonlySet<string>;
  /** As it was sent, in one text. */
  readonly sent: (name: string) => string | undefined;
  /** Who set a header of the response, in words. */
  readonly setBy: (name: string) => string | undefined;
  /** The name of the call that answered, and its fault if another one failed. */
  readonly answeredBy: string;
  /** Whether there is a reason for the answer, or a middleware of this package is one. */
  readonly isExplained: boolean;
  /** Of the call that answered: `, layer 9, after loadSession`. */
  readonly position: string;
  readonly failed: { readonly name: string; readonly how: string; readonly fault: Fault } | undefined;
}

/** The decisions about one request, in words: what is most likely asked for comes first. */
export function decisionsOf(facts: Facts): Decision[] {
  const all = [
    ...refusal(facts),
    ...failure(facts),
    ...unexplained(facts),
    ...ending(facts),
    ...cors(facts),
    ...csrf(facts),
    ...auth(facts),
    ...cacheDecisions(facts.concerns.has("cache"), facts.sent("cache-status"), facts.setBy),
    ...routing(facts),
  ];
  return all.sort((one, other) => rankOf(one) - rankOf(other));
}

/** What went wrong, then the cache, then what passed. */
function rankOf({ about, verdict }: Decision): number {
  if (verdict === "refused" || verdict === "failed" || verdict === "unexplained") return 0;
  return about === "cache" ? 1 : 2;
}

function refused(about: string, text: string): Decision {
  return { about, verdict: "refused", text };
}

function refusal(facts: Facts): Decision[] {
  const { refused: reason } = facts.state;
  return reason === undefined ? [] : [refused(reason.by, refusalText(reason, facts))];
}

function refusalText(reason: Refusal, facts: Facts): string {
  const { headers, state } = facts;
  switch (reason.by) {
    case "cors":
      return `The preflight was refused: ${corsReason(reason.reason, headers)}`;
    case "csrf":
      return `Refused: ${csrfReason(reason.reason, facts)}`;
    case "allowedHosts":
      return `Refused: ${HOST_REASONS[reason.reason]} (Host: ${quoted(headers.host)}).`;
    case "auth":
      return `Refused: ${AUTH_REASONS[reason.reason] ?? reason.reason}.`;
    case "timeout":
      return `Given up: ${TIMEOUT_REASONS[reason.reason] ?? reason.reason}. What the handler sends later is discarded.`;
    case "bodyLimit":
      return reason.reason === "size"
        ? `Refused: the body is longer than bodyLimit allows (Content-Length: ${headers["content-length"] ?? "none"}).`
        : "Refused: the body did not come in whole within timeMs.";
    case "loadShed":
      return `Refused: ${SHED_REASONS[reason.reason] ?? reason.reason}.`;
    default:
      return `Refused by ${(reason as Refusal).by}: ${state.refused?.reason}.`;
  }
}

function corsReason(reason: string, headers: IncomingHttpHeaders): string {
  const method = headers["access-control-request-method"];
  const names = headers["access-control-request-headers"];
  if (reason === "origin")
    return `the origin ${quoted(headers.origin)} is not allowed by the option origin of cors.`;
  if (reason === "method") return `the method ${quoted(method)} is not in the option methods of cors.`;
  return `not all of the request headers ${quoted(names)} are in the option allowedHeaders of cors.`;
}

function csrfReason(reason: string, { headers, sent }: Facts): string {
  if (reason === "origin-null") return 'Origin is "null": the page hides where it comes from.';
  const { origin, host } = headers;
  const site = headers["sec-fetch-site"] as string;
  const from = origin === undefined ? "" : `, from ${quoted(origin)}`;
  const sender = site === "same-site" ? "another origin of the same site" : "another site";
  // A wildcard of cors allows pages to read, and is no reason to trust them.
  const isAllowed = origin !== undefined && sent("access-control-allow-origin") === origin;
  const remedy = isAllowed
    ? " cors allows this origin: to accept what its pages send, add it to trustedOrigins of csrf."
    : "";
  return reason === "sec-fetch-site"
    ? `Sec-Fetch-Site is ${quoted(site)}${from}: a page of ${sender} has sent it.${remedy}`
    : `Origin is ${quoted(origin)}, which is not this host ${quoted(host)}, nor in trustedOrigins.${remedy}`;
}

const HOST_REASONS = {
  missing: "the request names no host",
  malformed: "the host is malformed",
  repeated: "the host is named more than once",
  "not-listed": "the host is not in the list of allowedHosts",
};

const AUTH_REASONS: Readonly<Record<string, string>> = {
  missing: "the request has no credentials",
  malformed: "the credentials are not well-formed",
  expired: "the token has expired",
  "not-yet-valid": "the token is not valid yet",
  "bad-signature": "the signature does not match",
  "wrong-issuer": "the token is of another issuer",
  "wrong-audience": "the token is for another audience",
  scope: "the token lacks a scope that this route needs",
  rejected: "the credentials are not known here",
  forbidden: "the caller is known, and may not do this",
};

const TIMEOUT_REASONS: Readonly<Record<string, string>> = {
  deadline: "no answer had begun when the time of timeout was over",
  idle: "the answer stood still for longer than idleMs",
  total: "the answer was not complete within totalMs",
};

const SHED_REASONS: Readonly<Record<string, string>> = {
  limit: "as many requests are in flight as loadShed allows",
  queue: "it waited longer than queueMs, or the queue of loadShed is full",
  delay: "the event loop is too late: the request has waited too long, or maxDelayMs is exceeded",
};

function failure({ failed, answeredBy }: Facts): Decision[] {
  if (failed === undefined) return [];
  const { name, how, fault } = failed;
  const text = `${name} ${how} ${fault.type}: ${fault.message} — answered by ${answeredBy}.`;
  return [{ about: "error", verdict: "failed", text, place: placeOf(fault.stack) }];
}

/** An app's own `res.status(403)`. A 404 without a route is explained by that. */
function unexplained(facts: Facts): Decision[] {
  const { status, outcome, state, isExplained, answeredBy, position } = facts;
  if (status < 400 || outcome !== "complete" || state.refused !== undefined || isExplained) return [];
  if (isWithoutRoute(facts)) return [];
  const text = `Answered by ${answeredBy}${position}: it gave no reason that the inspector can see.`;
  return [{ about: "answer", verdict: "unexplained", word: "no reason given", text }];
}

function ending({ outcome, isHeadSent, state }: Facts): Decision[] {
  const when = isHeadSent ? "before the response was complete" : "before any response was sent";
  if (outcome === "aborted") return [{ about: "client", verdict: "note", text: `The client left ${when}.` }];
  if (outcome === "upgraded")
    return [{ about: "upgrade", verdict: "note", text: "The connection was taken over (WebSocket)." }];
  if (outcome !== "truncated") return [];
  const why = state.timedOut ? "by timeout" : "so that the client sees that it is not whole";
  return [{ about: "response", verdict: "failed", text: `The response was truncated, ${why}.` }];
}

/** A preflight that was refused has its decision already. */
function cors({ concerns, state, headers, sent, method }: Facts): Decision[] {
  if (!concerns.has("cors") || state.refused?.by === "cors") return [];
  const { origin } = headers;
  if (origin === undefined) {
    return [{ about: "cors", verdict: "note", text: "Nothing to allow: the request has no Origin header." }];
  }
  const allowed = sent("access-control-allow-origin");
  if (allowed === undefined) {
    const text = `The origin ${quoted(origin)} is not allowed to read the answer: the browser keeps it from the page.`;
    return [refused("cors", text)];
  }
  const isPreflight = method === "OPTIONS" && headers["access-control-request-method"] !== undefined;
  const credentials = sent("access-control-allow-credentials") === "true" ? ", with credentials" : "";
  const what = isPreflight
    ? `Preflight allowed for ${quoted(origin)}: ${sent("access-control-allow-methods") || "safelisted methods"}${credentials}.`
    : `The origin ${quoted(origin)} may read the answer${credentials}.`;
  return [{ about: "cors", verdict: "allowed", text: what }];
}

const SAFE = new Set(["GET", "HEAD", "OPTIONS", "QUERY"]);

function csrf({ concerns, state, headers, method }: Facts): Decision[] {
  if (!concerns.has("csrf") || state.refused?.by === "csrf") return [];
  const verdict = SAFE.has(method) ? "note" : "allowed";
  return [{ about: "csrf", verdict, text: csrfPass(method, headers) }];
}

function csrfPass(method: string, headers: IncomingHttpHeaders): string {
  if (SAFE.has(method)) return `${method} requests are not checked.`;
  const site = headers["sec-fetch-site"];
  if (site === "same-origin" || site === "none") return `Passed: Sec-Fetch-Site is ${quoted(site)}.`;
  if (headers.origin !== undefined)
    return `Passed: Origin is ${quoted(headers.origin)}, this host or a trusted origin.`;
  return "Passed: neither Sec-Fetch-Site nor Origin, so not sent by a browser.";
}

function auth({ state }: Facts): Decision[] {
  if (state.auth === undefined || state.refused?.by === "auth") return [];
  return [{ about: "auth", verdict: "allowed", text: `Authenticated by ${state.auth.scheme}.` }];
}

function routing(facts: Facts): Decision[] {
  if (!isWithoutRoute(facts)) return [];
  return [{ about: "route", verdict: "note", text: `No route matched: answered by ${facts.answeredBy}.` }];
}

function isWithoutRoute({ status, route, state, failed }: Facts): boolean {
  return status === 404 && route === undefined && state.refused === undefined && failed === undefined;
}

function quoted(value: string | undefined): string {
  return value === undefined ? "(none)" : `“${value.slice(0, 200)}”`;
}
