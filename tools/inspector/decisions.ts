import type { IncomingHttpHeaders } from "node:http";
import type { Refusal, RequestState } from "../../src/lib/request/state.js";
import type { Outcome } from "../../src/lib/response/outcome.js";
import { cacheDecisions } from "./cache-words.js";
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
  /** The name of the call that answered, and its fault if another one failed. */
  readonly answeredBy: string;
  readonly failed: { readonly name: string; readonly how: string; readonly fault: Fault } | undefined;
}

/** The decisions about one request, in words: what is most likely asked for comes first. */
export function decisionsOf(facts: Facts): Decision[] {
  return [
    ...refusal(facts),
    ...failure(facts),
    ...ending(facts),
    ...cors(facts),
    ...csrf(facts),
    ...auth(facts),
    ...cacheDecisions(facts.concerns.has("cache"), facts.sent("cache-status")),
    ...routing(facts),
  ];
}

function refused(about: string, text: string): Decision {
  return { about, verdict: "refused", text };
}

function refusal(facts: Facts): Decision[] {
  const { refused: reason } = facts.state;
  return reason === undefined ? [] : [refused(reason.by, refusalText(reason, facts))];
}

function refusalText(reason: Refusal, { headers, state }: Facts): string {
  switch (reason.by) {
    case "cors":
      return `The preflight was refused: ${corsReason(reason.reason, headers)}`;
    case "csrf":
      return `Refused: ${csrfReason(reason.reason, headers)}`;
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
  if (reason === "origin") return `the origin ${quoted(headers.origin)} is not one that cors allows.`;
  if (reason === "method") return `the method ${quoted(method)} is not in the option methods of cors.`;
  return `not all of the request headers ${quoted(names)} are in the option allowedHeaders of cors.`;
}

function csrfReason(reason: string, headers: IncomingHttpHeaders): string {
  const from = headers.origin === undefined ? "" : `, from ${quoted(headers.origin)}`;
  if (reason === "sec-fetch-site")
    return `Sec-Fetch-Site is ${quoted(headers["sec-fetch-site"] as string)}${from}: a page of another site has sent it.`;
  if (reason === "origin-null") return 'Origin is "null": the page hides where it comes from.';
  return `Origin is ${quoted(headers.origin)}, which is not this host ${quoted(headers.host)}, nor in trustedOrigins.`;
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
  return [{ about: "error", verdict: "failed", text }];
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
    return [
      { about: "cors", verdict: "note", text: "No Origin header: not a request of another origin's page." },
    ];
  }
  const allowed = sent("access-control-allow-origin");
  if (allowed === undefined) {
    const text = `The origin ${quoted(origin)} is not allowed: the app answered, but the browser keeps the answer from the page.`;
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
  return [{ about: "csrf", verdict: "allowed", text: csrfPass(method, headers) }];
}

function csrfPass(method: string, headers: IncomingHttpHeaders): string {
  if (SAFE.has(method)) return `Not checked: ${method} changes nothing.`;
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

function routing({ status, route, state, answeredBy, failed }: Facts): Decision[] {
  if (status !== 404 || route !== undefined || state.refused !== undefined || failed !== undefined) return [];
  return [{ about: "route", verdict: "note", text: `No route matched: answered by ${answeredBy}.` }];
}

function quoted(value: string | undefined): string {
  return value === undefined ? "(none)" : `“${value.slice(0, 200)}”`;
}
