import type { Finding, PipelineNode } from "../types.js";
import { finding, isConcern, labelOf, type Step } from "../walk.js";

/** A factory that was mounted in place of the handler that it makes. */
export function notCalled(steps: readonly Step[]): Finding[] {
  return steps
    .filter(({ node }) => node.facts?.notCalled !== undefined)
    .map((step) => {
      const call = String(step.node.facts?.notCalled);
      return finding("not-called", "fault", step, {
        what: `${call} is not called`,
        happens: "Express passes it the request as options, and no request gets past it",
        fix: `write ${call}(), with its options, in place of ${call}`,
        why: "Express needs the handler (req, res, next). This function makes one, but is not one.",
      });
    });
}

/** Express 4 ignores the promise that a handler returns. */
export function asyncOnExpress4(steps: readonly Step[], app: PipelineNode): Finding[] {
  const rejecting = steps.filter(
    ({ node, ancestors }) =>
      node.facts?.mayReject === true &&
      node.package === undefined &&
      [app, ...ancestors].findLast(({ kind }) => kind === "app")?.facts?.express === 4,
  );
  const first = rejecting[0];
  if (first === undefined || app.facts?.served === true) return [];
  const others = rejecting.length - 1;
  return [
    finding("async-handler-on-express-4", "advice", first, {
      what: `${labelOf(first.node)} is async${others === 0 ? "" : `, as are ${others} other handlers`}, and this is Express 4`,
      happens: "when it rejects there is no answer, and Node ends the process",
      fix: "start the app with serve(), which makes it an error of its request, or move to Express 5",
      why: "Express 4 ignores the promise that a handler returns: nothing handles its rejection, unless each handler catches it.",
    }),
  ];
}

/** A rate limit by an address that every client can choose. */
export function trustsEveryClient(steps: readonly Step[], app: PipelineNode): Finding[] {
  if (app.facts?.trustProxy !== "all") return [];
  const limit = steps.find((step) => isConcern(step, "rateLimit"));
  if (limit === undefined) return [];
  return [
    finding("trust-proxy-all", "fault", limit, {
      what: `${labelOf(limit.node)} goes by req.ip, and "trust proxy" is true`,
      happens: "a client that sends another X-Forwarded-For each time is never limited",
      fix: 'set "trust proxy" to the number of proxies',
      why: "With true the address is the first entry of X-Forwarded-For, which the client writes itself.",
    }),
  ];
}

/** An error in the answer of the 404 needs an error handler below it. */
export function recoverLast(steps: readonly Step[]): Finding[] {
  return steps.flatMap((step) => {
    if (!isConcern(step, "recover") || step.node.kind !== "error handler") return [];
    const list = step.ancestors.at(-1);
    const later = steps.find(
      (other) =>
        isConcern(other, "notFound") &&
        other.node.package === "express-portico" &&
        other.order > step.order &&
        other.ancestors.at(-1) === list &&
        other.node.path === step.node.path,
    );
    const isFollowed = steps.some(
      (other) => isConcern(other, "recover") && later !== undefined && other.order > later.order,
    );
    if (later === undefined || isFollowed || list?.facts?.composed !== undefined) return [];
    return [
      finding("recover-not-last", "advice", step, {
        what: `${labelOf(step.node)} is before ${labelOf(later.node)}`,
        happens: "an error in the answer of the 404, such as in its render, never reaches it",
        fix: "move it to the end",
        why: "Express passes an error down: only an error handler below the place where it happened gets it.",
      }),
    ];
  });
}
