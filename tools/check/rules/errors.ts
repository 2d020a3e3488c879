import {
  covers,
  type Finding,
  finding,
  isConcern,
  labelOf,
  mayCover,
  type PipelineNode,
  type Step,
} from "../pipeline.js";

const HOW_EXPRESS_KNOWS =
  "Express recognises error handlers by their four parameters: `length` must be 4, and does not count parameters with a default.";

/** A function that is meant as an error handler, but that Express calls as middleware. */
export function errorHandlerParameters(steps: readonly Step[]): Finding[] {
  return steps
    .filter(({ node }) => node.details?.intendedAsErrorHandler === true)
    .map((step) =>
      finding("error-handler-parameters", "fault", step, {
        what: `${labelOf(step.node)} does not count as an error handler`,
        happens: "it never gets an error, and runs for every request with the request in place of the error",
        fix: "give it four parameters without defaults: (err, req, res, next)",
        why: HOW_EXPRESS_KNOWS,
      }),
    );
}

/** No error handler, one above the routes that it should cover, or one that covers only a part. */
export function errorHandlers(steps: readonly Step[]): Finding[] {
  const answering = steps.filter(isAnswering);
  const first = answering[0];
  if (first === undefined) return [];
  const handlers = steps.filter(
    ({ node, route }) => (node.kind === "error handler" || isWrap(node)) && route === undefined,
  );
  if (handlers.length === 0) {
    if (steps.some(({ node }) => node.unseen !== undefined || node.details?.intendedAsErrorHandler))
      return [];
    const last = steps.findLast(({ ancestors }) => ancestors.length === 1) ?? first;
    return [
      finding("no-error-handler", "advice", last, {
        what: "there is no error handler",
        happens: "Express answers errors with its own page, and logs them without their request",
        fix: "put recover() last",
        why: "What a handler throws, or passes to next(), becomes a page of HTML, whatever the client accepts; outside production it shows the stack.",
      }),
    ];
  }
  const lost = answering.filter((step) => !isCovered(step, steps));
  const above = new Map<Step, Step>();
  let elsewhere: Step | undefined;
  for (const step of lost) {
    const handler = handlers.findLast((one) => isAbove(one, step));
    if (handler === undefined) elsewhere ??= step;
    else if (!above.has(handler)) above.set(handler, step);
  }
  const findings = [...above].map(([handler, step]) =>
    finding("error-handler-not-last", "fault", handler, {
      what: `${labelOf(handler.node)} is before ${labelOf(step.node)}`,
      happens: "errors from there never reach it",
      fix: "move it to the end",
      why: "Express passes an error down: only an error handler below the place where it happened gets it.",
    }),
  );
  // The app may want an error handler of its own for one router only; `recover` is for the whole app.
  const ours = handlers.find((one) => isConcern(one, "recover"));
  if (elsewhere !== undefined && ours !== undefined && !above.has(ours)) {
    findings.push(
      finding("recover-does-not-cover", "advice", ours, {
        what: `${labelOf(ours.node)} is at ${ours.node.path}, and does not cover ${labelOf(elsewhere.node)}`,
        happens: "errors from there get Express's own page",
        fix: "put one at the end of the app",
        why: "An error handler on a path, or in a router, gets the errors of that part only.",
      }),
    );
  }
  return findings;
}

function isWrap(node: PipelineNode): boolean {
  return node.concern === "recover" && node.details?.composed === "wrap";
}

/** Whether errors can come from it: a route, or a 404 that is passed on as an error. */
function isAnswering({ node, route }: Step): boolean {
  if (node.kind === "route") return !isNotFoundRoute(node);
  return route === undefined && node.concern === "notFound" && node.details?.passesError === true;
}

/** A route that only answers with a 404 throws nothing. */
function isNotFoundRoute({ children }: PipelineNode): boolean {
  return (
    children.length > 0 &&
    children.every(({ concern, details }) => concern === "notFound" && details?.passesError === false)
  );
}

/** An error goes down the list that the step is in, then down the lists around it; in a chain it goes to the left. */
function isCovered(step: Step, steps: readonly Step[]): boolean {
  let inner: PipelineNode = step.node;
  for (const outer of step.ancestors.toReversed()) {
    const at = outer.children.indexOf(inner);
    const isChain = outer.details?.composed !== undefined;
    if (isWrap(outer)) return true;
    const isCatching = (node: PipelineNode) => catches(node, step.node.path, steps);
    if (
      isChain ? outer.children.slice(0, at).some(isCatching) : someFromEnd(outer.children, at, isCatching)
    ) {
      return true;
    }
    inner = outer;
  }
  return false;
}

/** Tests the nodes after a position, the last first: error handlers are at the end. */
function someFromEnd(
  nodes: readonly PipelineNode[],
  after: number,
  test: (node: PipelineNode) => boolean,
): boolean {
  for (let i = nodes.length - 1; i > after; i--) if (test(nodes[i]!)) return true;
  return false;
}

function catches(node: PipelineNode, path: string, steps: readonly Step[]): boolean {
  if (!mayCover(node.path, path)) return false;
  if (node.kind === "error handler") return true;
  if (node.unseen !== undefined) return true; // it may have an error handler
  if (node.kind !== "router") return false; // errors pass routers, not handlers
  return node.children.some((child) => catches(child, path, steps));
}

/** Whether the error handler is above the step, in the same list or in one around it. */
function isAbove(handler: Step, step: Step): boolean {
  if (handler.order > step.order || handler.node.kind !== "error handler") return false;
  if (handler.node.details?.handsErrorsOn === true) return false;
  const list = handler.ancestors.at(-1);
  return (
    list !== undefined &&
    list.details?.composed === undefined &&
    step.ancestors.includes(list) &&
    covers(handler.node.path, step.node.path)
  );
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
    if (later === undefined || isFollowed || list?.details?.composed !== undefined) return [];
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
