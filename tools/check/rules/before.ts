import type { Finding, PipelineNode } from "../types.js";
import { comesBy, finding, isConcern, labelOf, type Step } from "../walk.js";

/** What is refused should not be read first. */
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
        why: "Reading and parsing is what the limit should save. An upload that stalls gets no answer at all.",
      }),
    );
  }
  return findings;
}

/** Files need no session: each of them would ask the store for one. */
export function sessionBeforeStatic(steps: readonly Step[]): Finding[] {
  const findings: Finding[] = [];
  for (const step of steps) {
    if (!isConcern(step, "static") || step.route !== undefined || step.isConditional) continue;
    const session = steps.find((other) => isConcern(other, "session") && comesBy(step, other));
    if (session === undefined) continue;
    const between = steps.filter((one) => one.order > session.order && one.order < step.order);
    if (between.some((one) => mayGuard(one.node))) continue; // files for those who have logged in
    findings.push(
      finding("session-before-static", "advice", step, {
        what: `${labelOf(session.node)} is before ${labelOf(step.node)}`,
        happens: "every file asks the session store first, and may set a cookie",
        fix: `move ${labelOf(step.node)} above ${labelOf(session.node)}`,
        why: "A page's twenty files are twenty reads of the store. An answer that sets a cookie is one that caches do not keep.",
      }),
    );
  }
  return findings;
}

function mayGuard({ kind, concern }: PipelineNode): boolean {
  return (kind === "middleware" && concern === undefined) || concern === "auth";
}

/** Who reads a proxy's header by hand believes whoever sends it. */
export function proxyHeaders(steps: readonly Step[], app: PipelineNode): Finding[] {
  if (app.facts?.trustProxy !== "unset") return [];
  const reading = steps.find(
    ({ node, ancestors }) =>
      node.facts?.readsHeader !== undefined &&
      // A mounted app may have the setting for itself.
      ancestors.every((one) => one.kind !== "app" || one.facts?.trustProxy === "unset"),
  );
  if (reading === undefined) return [];
  return [
    finding("trust-proxy-unset", "advice", reading, {
      what: `${labelOf(reading.node)} reads ${String(reading.node.facts?.readsHeader)}, and "trust proxy" is not set`,
      happens: "every client can write into it what it likes",
      fix: 'set "trust proxy" to the number of proxies, and read req.ip, req.protocol and req.hostname',
      why: "Only the entries that one's own proxies have added are true. Express leaves out the others once it knows how many there are.",
    }),
  ];
}
