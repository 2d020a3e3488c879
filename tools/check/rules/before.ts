import type { Finding, PipelineNode } from "../types.js";
import { comesBy, finding, isConcern, labelOf, type Step } from "../walk.js";

/** The body of a request that the limit refuses should not be read. */
export function parserBeforeRateLimit(steps: readonly Step[]): Finding[] {
  const findings: Finding[] = [];
  for (const step of steps) {
    if (!isConcern(step, "rateLimit") || step.route !== undefined || step.node.facts?.keyed !== false)
      continue;
    const before = steps.filter((other) => comesBy(step, other) && other.route === undefined);
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
    const session = steps.find((other) => isConcern(other, "session") && comesBy(step, other));
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

/** A handler that reads a header of proxies by hand trusts every client. */
export function proxyHeaders(steps: readonly Step[], app: PipelineNode): Finding[] {
  if (app.facts?.trustProxy !== "unset") return [];
  const reading = steps.find(
    ({ node, ancestors }) =>
      node.facts?.readsHeader !== undefined &&
      // A mounted app can have its own setting.
      ancestors.every((one) => one.kind !== "app" || one.facts?.trustProxy === "unset"),
  );
  if (reading === undefined) return [];
  return [
    finding("trust-proxy-unset", "advice", reading, {
      what: `${labelOf(reading.node)} reads ${String(reading.node.facts?.readsHeader)}, and "trust proxy" is not set`,
      happens: "every client can send any value",
      fix: 'set "trust proxy" to the number of proxies, and read req.ip, req.protocol and req.hostname',
      why: "Only the entries that your own proxies have added are true. Express ignores the others if it knows how many proxies there are.",
    }),
  ];
}
