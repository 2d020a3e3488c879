import type { Finding } from "../types.js";
import { covers, finding, isConcern, labelOf, type Step } from "../walk.js";

/** What is answered above the log is in no log. */
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
    if (before.some((other) => isConcern(other, "log"))) continue; // that one is the log, this one a choice of it
    const refusing = before.find((other) => isConcern(other, "auth", "rateLimit", "bodyParser", "timeout"));
    const cors = before.find((other) => isConcern(other, "cors"));
    const above = refusing ?? cors;
    if (above === undefined) continue;
    // A part of the app that stands above the log may be kept out of it on purpose.
    const isFaulty = refusing !== undefined && covers(refusing.node.path, log.node.path);
    findings.push(
      finding("log-not-first", isFaulty ? "fault" : "advice", log, {
        what: `${labelOf(log.node)} is after ${labelOf(above.node)}`,
        happens: `what ${labelOf(above.node)} answers is in no log`,
        fix: `move it up, above ${labelOf(above.node)}`,
        why: "A log begins to watch a response when the request comes by it. One that was answered before never does.",
      }),
    );
  }
  return findings;
}
