import { words } from "../../../src/lib/values/words.js";
import {
  belongsAbove,
  covers,
  type Finding,
  finding,
  hasUnknown,
  isAlwaysAfter,
  isConcern,
  labelOf,
  meets,
  type PipelineNode,
  type Step,
} from "../pipeline.js";

/** These answer or refuse requests. If they are above the log, it has no record of these requests. */
const ANSWERING = words("auth rateLimit bodyParser timeout cache allowedHosts csrf loadShed bodyLimit");

/** Requests that are answered above the log are not logged. */
export function logFirst(steps: readonly Step[]): Finding[] {
  const findings: Finding[] = [];
  const logs = steps.filter((step) => isConcern(step, "log") && step.route === undefined);
  for (const log of logs) {
    const before = steps.filter(
      (other) =>
        other.order < log.order &&
        other.route === undefined &&
        (covers(other.node.path, log.node.path) || covers(log.node.path, other.node.path)),
    );
    if (before.some((other) => isConcern(other, "log"))) continue; // the other one is the log, this one logs a part
    const answering = before.find((other) => isConcern(other, ...ANSWERING));
    const others = before.filter(
      (other) => isConcern(other, "cors", "static", "cspReports", "session") || belongsAfterLog(other),
    );
    const above = answering ?? others.find((other) => !isConcern(other, "securityHeaders")) ?? others[0];
    if (above === undefined) continue;
    const setsOnly = isConcern(above, "securityHeaders", "compress", "session");
    // The requests of a part of the app may be left out of the log on purpose.
    const isFaulty = answering !== undefined && covers(answering.node.path, log.node.path);
    const label = labelOf(above.node);
    findings.push(
      belongsAbove("log-not-first", isFaulty ? "fault" : "advice", log, above, {
        happens: setsOnly
          ? `what goes wrong in ${label} is in no log, and its time is not counted`
          : `what ${label} answers is in no log`,
        why: "A log records the requests that reach it. One that was answered before does not reach it.",
      }),
    );
  }
  return findings;
}

/** Ours that answers nothing. Such middleware of other packages may be above the log or below it. */
function belongsAfterLog(step: Step): boolean {
  return isConcern(step, "securityHeaders", "compress") && step.node.package === "express-portico";
}

const FOR_ROUTES = words(
  "compress cache cors csrf bodyLimit allowedHosts loadShed securityHeaders timeout session",
);
/** These may be intended for the rest: a log of 404s, a refusal of everything without a route. */
const MAY_BE_FOR_THE_REST = ["auth", "log", "metrics", "rateLimit", "bodyParser", "context"];

/** Middleware that is reached only by requests without a route. */
export function afterRoutes(steps: readonly Step[]): Finding[] {
  const findings: Finding[] = [];
  for (const step of steps) {
    if (!isConcern(step, ...FOR_ROUTES, ...MAY_BE_FOR_THE_REST) || step.route !== undefined) continue;
    const { path } = step.node;
    const isWithin = (other: Step) => meets(other.node, path);
    const route = steps.find(
      (other) => other.order < step.order && other.node.kind === "route" && isWithin(other),
    );
    if (route === undefined) continue;
    if (
      steps.some(
        (other) =>
          other.order > step.order && mayServe(other) && (isWithin(other) || hasUnknown(other.node.path)),
      )
    )
      continue;
    const isForTheRest = isConcern(step, ...MAY_BE_FOR_THE_REST);
    if (
      isForTheRest &&
      steps.some((other) => isConcern(other, step.node.concern!) && isAlwaysAfter(step, other))
    )
      continue;
    findings.push(
      finding(`${step.node.concern}-after-routes`, isForTheRest ? "advice" : "fault", step, {
        what: `${labelOf(step.node)} is after the routes`,
        happens: "requests with a route never reach it",
        fix: `move it up, above ${labelOf(route.node)}`,
        why: "A route answers, and what is below it does not run. Only requests without a route come to this one.",
      }),
    );
  }
  return findings;
}

/** Whether it may serve content: an unknown handler may. */
export function mayServe({ node, route }: Step): boolean {
  if (route !== undefined) return false; // the route counts, not its handlers
  if (node.kind === "error handler") return false;
  if (node.kind === "route" || node.unseen !== undefined) return true;
  if (node.kind !== "middleware") return false; // its parts are checked by themselves
  return node.concern === undefined || ["static", "cspReports", "upload"].includes(node.concern);
}

/** Routes below a 404. */
export function notFoundLast(steps: readonly Step[]): Finding[] {
  const findings: Finding[] = [];
  for (const step of steps) {
    if (!isConcern(step, "notFound") || step.route !== undefined || step.node.kind === "error handler")
      continue;
    const lost = steps.find(
      (other) =>
        (other.node.kind === "route" || isConcern(other, "static") || other.node.unseen !== undefined) &&
        isAlwaysAfter(other, step),
    );
    if (lost === undefined) continue;
    findings.push(
      finding("not-found-before-routes", "fault", step, {
        what: `${labelOf(step.node)} is before ${labelOf(lost.node)}`,
        happens: "everything there is a 404",
        fix: "move it below the routes",
        why: "It answers every request: below it only error handlers run.",
      }),
    );
  }
  return findings;
}

/** The body of a request that the limit refuses should not be read. */
export function parserBeforeRateLimit(steps: readonly Step[]): Finding[] {
  const findings: Finding[] = [];
  for (const step of steps) {
    if (!isConcern(step, "rateLimit") || step.route !== undefined || step.node.details?.keyed !== false)
      continue;
    const before = steps.filter((other) => isAlwaysAfter(step, other) && other.route === undefined);
    const parser = before.find((other) => isConcern(other, "bodyParser", "upload"));
    const limiter = before.find((other) => isConcern(other, "rateLimit"));
    if (parser === undefined || (limiter !== undefined && limiter.order < parser.order)) continue;
    const isGlobal = step.node.path === "/";
    findings.push(
      finding("body-parser-before-rate-limit", isGlobal ? "fault" : "advice", step, {
        what: `${labelOf(parser.node)} is before ${labelOf(step.node)}`,
        happens: "a refused client's body is read to its end first",
        fix: `move ${labelOf(step.node)} above ${labelOf(parser.node)}`,
        why: "The limit should save the work of reading and parsing. An upload that stalls gets no answer at all.",
      }),
    );
  }
  return findings;
}

/** Each file would ask the session store. */
export function sessionBeforeStatic(steps: readonly Step[]): Finding[] {
  const findings: Finding[] = [];
  for (const step of steps) {
    if (!isConcern(step, "static") || step.route !== undefined || step.isConditional) continue;
    const session = steps.find((other) => isConcern(other, "session") && isAlwaysAfter(step, other));
    if (session === undefined) continue;
    const between = steps.filter((one) => one.order > session.order && one.order < step.order);
    if (between.some((one) => mayGuard(one.node))) continue; // the files may need a login
    findings.push(
      finding("session-before-static", "advice", step, {
        what: `${labelOf(session.node)} is before ${labelOf(step.node)}`,
        happens: "every file asks the session store first, and may set a cookie",
        fix: `move ${labelOf(step.node)} above ${labelOf(session.node)}`,
        why: "A page's twenty files are twenty reads of the store. Caches do not store an answer that sets a cookie.",
      }),
    );
  }
  return findings;
}

function mayGuard({ kind, concern }: PipelineNode): boolean {
  return (kind === "middleware" && concern === undefined) || concern === "auth";
}
