import type { Finding } from "../types.js";
import { comesBy, finding, hasUnknown, isConcern, labelOf, meets, type Step } from "../walk.js";

const FOR_ROUTES = ["compress", "cache", "cors", "securityHeaders", "timeout", "session"];
/** These may be meant for what is left: a log of 404s, a refusal of all that has no route. */
const MAY_BE_FOR_THE_REST = ["auth", "log", "rateLimit", "bodyParser", "context"];

/** It is passed only by what no route has answered. */
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
        happens: "their answers never come by it",
        fix: `move it up, above ${labelOf(route.node)}`,
        why: "A route answers, and what stands below it is not run. Nothing but the 404 stands behind this one.",
      }),
    );
  }
  return findings;
}

/** A handler that is not known may do anything. */
export function mayAnswer({ node, route }: Step): boolean {
  if (route !== undefined) return false; // the route stands for what is on it
  if (node.kind === "error handler") return false;
  if (node.kind === "route" || node.unseen !== undefined) return true;
  if (node.kind !== "middleware") return false; // what stands in it is asked by itself
  return node.concern === undefined || ["static", "cspReports", "upload"].includes(node.concern);
}

/** Nothing gets past a 404. */
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
        why: "It takes every request that comes to it: nothing below it is run, but error handlers.",
      }),
    );
  }
  return findings;
}
