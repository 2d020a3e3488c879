import type { Finding } from "../types.js";
import { covers, finding, isConcern, labelOf, type Step } from "../walk.js";

/** These answer or refuse requests: above the log, their answers are missing in it. */
const ANSWERING = ["auth", "rateLimit", "bodyParser", "timeout", "cache"];

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
      (other) => isConcern(other, "cors", "static", "cspReports", "session") || isOurs(other),
    );
    const above = answering ?? others.find((other) => !isConcern(other, "securityHeaders")) ?? others[0];
    if (above === undefined) continue;
    const setsOnly = isConcern(above, "securityHeaders", "compress", "session");
    // A part of the app above the log may be left out on purpose.
    const isFaulty = answering !== undefined && covers(answering.node.path, log.node.path);
    findings.push(
      finding("log-not-first", isFaulty ? "fault" : "advice", log, {
        what: `${labelOf(log.node)} is after ${labelOf(above.node)}`,
        happens: setsOnly
          ? `what goes wrong in ${labelOf(above.node)} is in no log, and its time is not counted`
          : `what ${labelOf(above.node)} answers is in no log`,
        fix: `move it up, above ${labelOf(above.node)}`,
        why: "A log only sees the requests that reach it. A request that was answered before never does.",
      }),
    );
  }
  return findings;
}

/** Middleware of other packages that answers nothing may be above the log or below it. */
function isOurs(step: Step): boolean {
  return isConcern(step, "securityHeaders", "compress") && step.node.package === "express-portico";
}
