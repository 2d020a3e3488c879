import { type Finding, finding, isAlwaysAfter, isConcern, labelOf, type Step } from "../pipeline.js";

/** What refuses probes: the effect, and whether every probe is refused. */
const REFUSING: readonly (readonly [
  concerns: readonly string[],
  level: Finding["level"],
  happens: string,
])[] = [
  [["allowedHosts"], "fault", "a probe's Host is the address of the pod, so it is answered with 421"],
  [["auth"], "fault", "a probe has no credentials, so it is answered with 401"],
  [
    ["rateLimit", "loadShed"],
    "advice",
    "a busy server refuses its probes, is taken out of rotation, and the others get busier",
  ],
  [["session", "passport"], "advice", "each probe asks the session store, and fails with it"],
];

/** One finding for each `health` that probes cannot reach, or that answers all requests. */
export function healthPlace(steps: readonly Step[]): Finding[] {
  return steps
    .filter((step) => isConcern(step, "health"))
    .flatMap((step) => [...everywhere(step), ...behind(step, steps)]);
}

function behind(step: Step, steps: readonly Step[]): Finding[] {
  const above = steps.filter((other) => isAlwaysAfter(step, other));
  for (const [concerns, level, happens] of REFUSING) {
    // With details, the answer may be meant for authenticated callers only.
    if (concerns.includes("auth") && step.node.details?.details === true) continue;
    const refusing = above.find((other) => isConcern(other, ...concerns) && !lets(other));
    if (refusing === undefined) continue;
    const label = labelOf(refusing.node);
    return [
      finding("health-behind", level, step, {
        what: `${labelOf(step.node)} is after ${label}`,
        happens,
        fix: `move it up, above ${label}, or use serve's probes: { ready, checks }`,
        why: "Orchestrators and load balancers send a bare GET. If it is refused, they treat the instance as not ready.",
      }),
    ];
  }
  return [];
}

/** Whether it may let a probe pass: what `exempt` returns is not known here. */
function lets({ node }: Step): boolean {
  return node.details?.optional === true || node.details?.exempts === true;
}

const LIVENESS = /\/(?:live|livez|liveness|alive|healthz?)$/i;

/** Routes whose name says that they are liveness probes, below `loadShed`. */
export function livenessShed(steps: readonly Step[]): Finding[] {
  return steps.flatMap((step) => {
    const { kind, path, children } = step.node;
    if (kind !== "route" || !LIVENESS.test(path)) return [];
    if (children.some(({ concern }) => concern === "health")) return []; // healthPlace reports it
    const shed = steps.find(
      (other) => isConcern(other, "loadShed") && !lets(other) && isAlwaysAfter(step, other),
    );
    if (shed === undefined) return [];
    const label = labelOf(shed.node);
    return [
      finding("liveness-shed", "advice", step, {
        what: `${labelOf(step.node)} is after ${label}`,
        happens: "a busy process refuses its liveness probe and is restarted, and the others get its load",
        fix: `move it up, above ${label}, or write loadShed({ exempt: (req) => req.path === "${path}" })`,
        why: "A liveness probe asks whether the process is stuck. A busy one is not.",
      }),
    ];
  });
}

function everywhere(step: Step): Finding[] {
  if (step.route !== undefined || step.isConditional || step.node.path !== "/") return [];
  return [
    finding("health-everywhere", "fault", step, {
      what: `${labelOf(step.node)} is mounted without a path`,
      happens: "it answers every request, and nothing below it is reached",
      fix: 'mount it at a path: app.get("/readyz", health({ checks }))',
      why: "It answers each request that it gets: it never calls next().",
    }),
  ];
}
