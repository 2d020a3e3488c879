import type { Finding } from "../types.js";
import { comesBy, covers, finding, isConcern, labelOf, type Step } from "../walk.js";

/** Of these a second one at the same place does nothing, or undoes the first. Others may be two on purpose. */
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
    // With options of its own, a second log goes elsewhere, and second headers add to the first.
    const isPlain = step.node.facts?.plain === true;
    if (concern === "log" && !isPlain) continue;
    if (step.node.facts?.composed !== undefined) continue; // each wraps another handler
    const first = seen.find(
      (other) =>
        isConcern(other, concern) &&
        other.node.path === step.node.path &&
        comesBy(step, other) &&
        areInOneHand(step, other) &&
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
        fix: "leave one of them out",
        why: `Both stand at ${step.node.path}, and every request that comes by the one comes by the other (the first is ${first.node.index}).`,
      }),
    );
  }
  return findings;
}

/** One list, or a list and one around it: two routers, or two chains, may each have their own. */
export function areInOneHand(a: Step, b: Step): boolean {
  const [listOfA, listOfB] = [a.ancestors.at(-1)!, b.ancestors.at(-1)!];
  return b.ancestors.includes(listOfA) || a.ancestors.includes(listOfB);
}

/** Helmet and ours have a rule of their own. */
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
      what: `helmet stands beside ${labelOf(ours.node)}`,
      happens: "both set the same headers, and which of them counts is not to be seen in either's options",
      fix: "leave helmet out, and give its options to securityHeaders()",
      why: "securityHeaders has its values checked by helmet itself, and sets them when the head is written.",
    }),
  ];
}
