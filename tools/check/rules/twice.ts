import type { Finding } from "../types.js";
import { comesBy, covers, finding, isConcern, labelOf, type Step } from "../walk.js";

/** A second one of these at the same place does nothing, or replaces the first. */
const HAPPENS: Readonly<Record<string, string>> = {
  cors: "the later one replaces what the earlier one has set",
  securityHeaders: "the later one replaces what the earlier one has set",
  context: "the second one does nothing",
  compress: "the second one has nothing to compress",
  session: "the second one does nothing",
  log: "every request is logged twice",
  notFound: "the second one is never reached",
  recover: "the second one gets no error",
};

export function sameTwice(steps: readonly Step[]): Finding[] {
  const findings: Finding[] = [];
  const seen: Step[] = [];
  for (const step of steps) {
    const concern = step.node.concern ?? "";
    if (!(concern in HAPPENS) || step.route !== undefined || step.isConditional) continue;
    // A second log with options writes elsewhere, and second headers add to the first.
    const isPlain = step.node.facts?.plain === true;
    if (concern === "log" && !isPlain) continue;
    if (step.node.facts?.composed !== undefined) continue; // each wraps its own handler
    const first = seen.find(
      (other) =>
        isConcern(other, concern) &&
        other.node.path === step.node.path &&
        comesBy(step, other) &&
        areInOneList(step, other) &&
        !isMixed(other, step),
    );
    if (first === undefined || (concern === "securityHeaders" && !isPlain)) {
      seen.push(step);
      continue;
    }
    findings.push(
      finding("twice", "advice", step, {
        what:
          labelOf(first.node) === labelOf(step.node)
            ? `${labelOf(step.node)} is there twice`
            : `${labelOf(step.node)} and ${labelOf(first.node)} do the same`,
        happens: HAPPENS[concern]!,
        fix: "remove one of them",
        why: `Both are at ${step.node.path}, and every request passes both (the first is ${first.node.index}).`,
      }),
    );
  }
  return findings;
}

/** Whether both are in one list, or one in a list around the other. Two routers or chains may each have their own. */
export function areInOneList(a: Step, b: Step): boolean {
  const [listOfA, listOfB] = [a.ancestors.at(-1)!, b.ancestors.at(-1)!];
  return b.ancestors.includes(listOfA) || a.ancestors.includes(listOfB);
}

/** Helmet beside ours has its own rule. */
function isMixed(a: Step, b: Step): boolean {
  return isConcern(a, "securityHeaders") && a.node.package !== b.node.package;
}

export function helmetBeside(steps: readonly Step[]): Finding[] {
  const all = steps.filter((step) => isConcern(step, "securityHeaders"));
  const ours = all.find(({ node }) => node.package === "express-portico");
  const helmet = all.find(
    ({ node }) =>
      node.package === "helmet" &&
      ours !== undefined &&
      (covers(node.path, ours.node.path) || covers(ours.node.path, node.path)),
  );
  if (ours === undefined || helmet === undefined) return [];
  return [
    finding("helmet-beside", "advice", helmet, {
      what: `helmet is used beside ${labelOf(ours.node)}`,
      happens: "both set the same headers, and the options do not show which of them counts",
      fix: "remove helmet, and give its options to securityHeaders()",
      why: "securityHeaders checks its values with helmet itself, and sets them when the head is written.",
    }),
  ];
}
