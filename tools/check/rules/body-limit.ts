import { type Finding, finding, isAlwaysAfter, isConcern, labelOf, type Step } from "../pipeline.js";

/** Limits of bodies that come too late, or have no effect because of a smaller limit above them. */
export function bodyLimits(steps: readonly Step[]): Finding[] {
  const limits = steps.filter((step) => isConcern(step, "bodyLimit"));
  return limits.flatMap((limit) => {
    const above = limits.filter((other) => isAlwaysAfter(limit, other));
    return [...late(limit, above, steps), ...larger(limit, above)];
  });
}

/** What is above it has read the body. */
function late(limit: Step, above: readonly Step[], steps: readonly Step[]): Finding[] {
  if (above.length > 0) return []; // that one limits it
  const reader = steps.find(
    (other) => isConcern(other, "bodyParser", "upload") && isAlwaysAfter(limit, other),
  );
  if (reader === undefined) return [];
  // A limit for a part of the app may be for the types that the parser does not read.
  const isForPart = limit.route !== undefined || limit.node.path !== reader.node.path;
  const isAdvice = isForPart && isConcern(reader, "bodyParser");
  return [
    finding("body-limit-late", isAdvice ? "advice" : "fault", limit, {
      what: `${labelOf(limit.node)} is after ${labelOf(reader.node)}`,
      happens: `what ${labelOf(reader.node)} has read is not limited`,
      fix: `move it up, above ${labelOf(reader.node)}`,
      why: "It counts what arrives after it has run. A body that was read before has passed.",
    }),
  ];
}

function larger(limit: Step, above: readonly Step[]): Finding[] {
  const bytesOf = ({ node }: Step) => Number(node.details?.limit);
  const smaller = above.find((other) => bytesOf(other) < bytesOf(limit));
  if (smaller === undefined) return [];
  return [
    // One with a time may have its size only because a size is required.
    finding("body-limit-larger", limit.node.details?.timed === true ? "advice" : "fault", limit, {
      what: `${labelOf(limit.node)} allows ${bytesOf(limit)} bytes below one that allows ${bytesOf(smaller)}`,
      happens: "it has no effect: the smaller limit refuses the body",
      fix: "mount it above the smaller one, or put the smaller one under unless()",
      why: "Of several limits the smallest counts, so that no route can open what the app has closed.",
    }),
  ];
}
