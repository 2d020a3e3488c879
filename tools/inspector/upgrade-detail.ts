import { STATUS_CODES } from "node:http";
import { REDACTED, type Redaction, redactQuery } from "../../src/lib/log/redact.js";
import { SWITCHED } from "../../src/lib/response/take-over.js";
import { round } from "./call.js";
import type { Times } from "./clock.js";
import { placeOf } from "./code-place.js";
import { connectionOf } from "./detail.js";
import type { Call, Decision, Detail, Ending, Mark, Summary } from "./report.js";
import { cut, DEFAULT_REDACTION, requestHeaders, writtenHeaders } from "./shown-headers.js";
import type { Upgrade } from "./upgrade.js";

const ANSWERER = "an upgrade listener of the server";

/** @param redaction of the app's request log; undefined while no request has come to it */
export function upgradeSummary(upgrade: Upgrade, redaction: Redaction | undefined): Summary {
  const { id = 0, time, req, path, query, status, totalMs, openMs, fault } = upgrade;
  return {
    id,
    time,
    method: (req.method ?? "").slice(0, 32),
    path: cut(redaction?.redactPath === undefined ? path : redaction.redactPath(path, req)),
    query: query === undefined ? undefined : cut(queryFor(query, redaction)),
    route: undefined,
    status,
    totalMs: totalMs === undefined ? undefined : round(totalMs),
    outcome: outcomeOf(upgrade),
    openMs: openMs === undefined ? undefined : round(openMs),
    answeredBy: upgrade.head === undefined ? undefined : ANSWERER,
    failure: fault && { name: "an upgrade listener", how: "threw", type: fault.type },
    marks: marksOf(upgrade),
  };
}

/** What the app's request log hides is not known yet, so all values are hidden. */
function queryFor(query: string, redaction: Redaction | undefined): string {
  return redaction === undefined
    ? query.replace(/=[^&]*/g, `=${REDACTED}`)
    : redactQuery(query, redaction.secrets);
}

function outcomeOf({ status, head }: Upgrade): Summary["outcome"] {
  if (status === undefined) return undefined;
  if (status === SWITCHED) return "upgraded";
  if (head !== undefined) return "complete";
  return status === 499 ? "aborted" : "truncated";
}

function marksOf({ status, head }: Upgrade): Mark[] {
  if (status === undefined || head !== undefined) return [];
  return status === 499
    ? [{ kind: "aborted", text: "client left" }]
    : [{ kind: "error", text: "closed without an answer" }];
}

export function upgradeDetail(upgrade: Upgrade, known: Redaction | undefined): Detail {
  const { req, remoteAddress, server, answering, listeners, head, fault } = upgrade;
  const redaction = known ?? DEFAULT_REDACTION;
  const ending = head !== undefined ? "answered" : fault === undefined ? "holds" : "threw";
  return {
    summary: upgradeSummary(upgrade, known),
    ...connectionOf(req, remoteAddress),
    requestHeaders: requestHeaders(req, redaction),
    responseHeaders: head === undefined ? [] : writtenHeaders(head, redaction, 1),
    calls: [
      callOf("server", "server", -1, server, "holds", undefined),
      callOf(
        "upgrade listener",
        listeners === 1 ? "upgrade listener" : `${listeners} upgrade listeners`,
        0,
        answering,
        ending,
        fault,
      ),
    ],
    callsLeftOut: 0,
    answerer: head === undefined ? -1 : 1,
    sendingMs: 0,
    bytes: undefined,
    decisions: decisionsOf(upgrade),
    fault,
    record: undefined,
    reports: [],
  };
}

function callOf(
  kind: Call["kind"],
  name: string,
  parent: number,
  { down, held, up }: Times,
  ending: Ending,
  fault: Call["fault"],
): Call {
  const times = { startMs: 0, downMs: round(down), heldMs: round(held), upMs: round(up) };
  return {
    parent,
    kind,
    name,
    path: "/",
    concern: undefined,
    ...times,
    ending,
    source: undefined,
    fault,
    repeats: false,
  };
}

const NOT_IN_APP = "The request did not come to the app: no middleware of it has run.";

function decisionsOf({ req, status, head, fault }: Upgrade): Decision[] {
  const protocol = (req.headers.upgrade ?? "another protocol").slice(0, 100);
  const about = (verdict: Decision["verdict"], text: string): Decision[] => [
    ...(fault === undefined
      ? []
      : [
          {
            about: "error",
            verdict: "failed" as const,
            text: `An upgrade listener threw ${fault.type}: ${fault.message}`,
            place: placeOf(fault.stack),
          },
        ]),
    { about: "upgrade", verdict, text: `${text} ${NOT_IN_APP}` },
  ];
  if (status === undefined) return about("note", "No listener of the server has answered yet.");
  if (status === SWITCHED)
    return about("allowed", `A listener of the server's 'upgrade' event has switched to ${protocol}.`);
  if (head !== undefined)
    return about(
      "refused",
      `A listener of the server's 'upgrade' event refused it: ${status} ${STATUS_CODES[status] ?? ""}.`,
    );
  return status === 499
    ? about("note", "The client left before any listener had answered.")
    : about(
        "failed",
        "The server closed the connection without an answer. Often no listener is for this path.",
      );
}
