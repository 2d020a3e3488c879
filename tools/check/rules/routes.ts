import type { Finding } from "../types.js";
import { comesBy, finding, hasUnknown, isConcern, labelOf, meets, type Step } from "../walk.js";

const FOR_ROUTES = ["compress", "cache", "cors", "securityHeaders", "timeout", "session"];
/** These may be intended for the rest: a log of 404s, a refusal of everything without a route. */
const MAY_BE_FOR_THE_REST = ["auth", "log", "rateLimit", "bodyParser", "context"];

/** Middleware that only requests without a route reach. */
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
          other.order > step.order && mayAnswer(other) && (isWithin(other) || hasUnknown(other.node.path)),
      )
    )
      continue;
    const isForTheRest = isConcern(step, ...MAY_BE_FOR_THE_REST);
    if (isForTheRest && steps.some((other) => isConcern(other, step.node.concern!) && comesBy(step, other)))
      continue;
    findings.push(
      finding(`${step.node.concern}-after-routes`, isForTheRest ? "advice" : "fault", step, {
        what: `${labelOf(step.node)} is after the routes`,
        happens: "their answers never pass it",
        fix: `move it up, above ${labelOf(route.node)}`,
        why: "A route answers, and what is below it does not run. Only the 404 is below this one.",
      }),
    );
  }
  return findings;
}

/** Whether it may answer requests: an unknown handler may. */
export function mayAnswer({ node, route }: Step): boolean {
  if (route !== undefined) return false; // the route counts, not its handlers
  if (node.kind === "error handler") return false;
  if (node.kind === "route" || node.unseen !== undefined) return true;
  if (node.kind !== "middleware") return false; // its parts are asked themselves
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
        comesBy(other, step),
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
