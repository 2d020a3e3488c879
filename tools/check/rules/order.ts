import type { Finding } from "../types.js";
import { comesBy, covers, finding, isConcern, labelOf, type Step } from "../walk.js";
import { mayAnswer } from "./routes.js";
import { areInOneHand } from "./twice.js";

/** One row of the order: what must not stand above it, and what happens if it does. */
interface Row {
  readonly concern: string;
  readonly rule: string;
  readonly why: string;
  /** Only of this package's own: with others nothing is lost. */
  readonly oursOnly?: boolean;
  /** The first of these that stands above it is told; the order here is by weight. */
  readonly above: readonly Above[];
}

interface Above {
  readonly concerns: readonly string[];
  readonly level: Finding["level"];
  readonly happens: (above: string) => string;
  /** Only if the one above is this package's own. */
  readonly oursOnly?: boolean;
  readonly counts?: (above: Step, step: Step) => boolean;
}

const WAITING = ["session", "passport", "auth", "bodyParser", "upload"];

/** The order of the README, from the top; `cors` after auth and parsers, `log` and 404 have rules of their own. */
const ROWS: readonly Row[] = [
  {
    concern: "context",
    rule: "context-not-first",
    why: "What stands above the context has no part in it: no id, no signal, and an error out of band does not find its request.",
    above: [
      {
        concerns: ["auth", "rateLimit", "bodyParser", "upload", "timeout", "cache", "session"],
        level: "fault",
        happens: (above) => `what ${above} answers has no request id, and its errors find no request`,
      },
      {
        concerns: ["log", "cors", "cspReports"],
        level: "advice",
        happens: (above) => `what ${above} does has no part in the context`,
      },
      {
        concerns: ["securityHeaders", "compress"],
        level: "advice",
        oursOnly: true,
        happens: (above) => `what goes wrong in ${above} has no part in the context`,
      },
    ],
  },
  {
    concern: "securityHeaders",
    rule: "security-headers-late",
    why: "The headers are set when the request comes by. What was answered before has none of them.",
    above: [
      {
        concerns: ["auth", "rateLimit", "bodyParser", "upload", "timeout", "cache", "static"],
        level: "advice",
        happens: (above) => `what ${above} answers has none of its headers`,
      },
      {
        concerns: ["cors"],
        level: "advice",
        oursOnly: true,
        happens: (above) => `what ${above} answers has none of its headers`,
      },
    ],
  },
  {
    concern: "cspReports",
    rule: "csp-reports-late",
    why: "Reports come without credentials, from pages of every origin, in types that other parsers do not read.",
    above: [
      { concerns: ["auth"], level: "fault", happens: (above) => `${above} refuses the browsers' reports` },
      {
        concerns: ["cors"],
        level: "advice",
        happens: (above) => `${above} decides which pages may send reports, though all should`,
      },
      {
        concerns: ["rateLimit"],
        level: "advice",
        happens: () => "reports use up what their visitor may ask for",
      },
      {
        concerns: ["timeout", "session", "bodyParser"],
        level: "advice",
        happens: (above) => `every report comes by ${above} first`,
      },
    ],
  },
  {
    concern: "cors",
    rule: "cors-late",
    why: "A page can read an answer only if CORS headers are on it: a browser tells of a failed fetch instead of the refusal.",
    above: [
      {
        concerns: ["rateLimit", "timeout"],
        level: "fault",
        counts: (above, { node }) => !isConcern(above, "timeout") || node.facts?.allows !== undefined, // a function may need the deadline
        happens: (above) =>
          `what ${above} answers has no CORS headers, and pages of other origins cannot read it`,
      },
      {
        concerns: ["session", "upload"],
        level: "advice",
        happens: (above) => `every preflight comes by ${above}, and its errors have no CORS headers`,
      },
      {
        concerns: ["cache"],
        level: "advice",
        happens: () => "the CORS headers are stored with each answer, and it is kept once for each origin",
      },
    ],
  },
  {
    concern: "rateLimit",
    rule: "rate-limit-late",
    why: "A limit is to save what stands below it. What stands above is spent on refused clients too.",
    above: [
      { concerns: ["auth"], level: "advice", happens: () => "guesses of credentials are not counted" },
      {
        concerns: ["session", "upload"],
        level: "advice",
        happens: (above) => `a refused client comes by ${above} all the same`,
      },
      {
        concerns: ["cache"],
        level: "advice",
        happens: () => "hits are not counted, and the RateLimit fields of one client are stored for others",
      },
    ],
  },
  {
    concern: "cache",
    rule: "cache-late",
    why: "A hit needs none of what stands below the cache. What stands above it costs its time for each hit.",
    above: [
      { concerns: ["session"], level: "advice", happens: (above) => `each hit asks ${above} first` },
      {
        concerns: ["auth", "bodyParser", "upload", "timeout"],
        level: "advice",
        happens: (above) => `each hit comes by ${above} first`,
      },
    ],
  },
  {
    concern: "compress",
    rule: "compress-late",
    oursOnly: true,
    why: "What is answered above it is sent as it is.",
    above: [
      {
        concerns: [...WAITING, "timeout"],
        level: "advice",
        happens: (above) => `what ${above} answers is not compressed`,
      },
    ],
  },
  {
    concern: "timeout",
    rule: "timeout-late",
    why: "The deadline begins when the request comes by. What waits above it may wait without an end.",
    above: [
      { concerns: WAITING, level: "advice", happens: (above) => `what ${above} waits for has no deadline` },
    ],
  },
];

/** Each that stands below what it should stand above, once, by the worst of them. */
export function rowOrder(steps: readonly Step[]): Finding[] {
  return ROWS.flatMap((row) => {
    const all = steps.filter((step) => isConcern(step, row.concern));
    return all.flatMap((step) => {
      if ((step.route !== undefined && row.concern !== "cspReports") || step.isConditional) return [];
      if (row.oursOnly === true && !isOurs(step)) return [];
      if (all.some((other) => comesBy(step, other))) return []; // that one is where it should be
      if (row.concern === "rateLimit" && step.node.facts?.keyed !== false) return [];
      if (isBehindAllRoutes(step, steps)) return [];
      const before = steps.filter((other) => stoodAbove(other, step));
      for (const { concerns, level, oursOnly, happens, counts } of row.above) {
        const above = before.find(
          (other) =>
            isConcern(other, ...concerns) &&
            (oursOnly !== true || (isOurs(other) && isOurs(step))) &&
            (counts === undefined || counts(other, step)),
        );
        if (above === undefined) continue;
        const label = labelOf(above.node);
        return [
          finding(row.rule, level, step, {
            what: `${labelOf(step.node)} is after ${label}`,
            happens: happens(label),
            fix: `move it up, above ${label}`,
            why: row.why,
          }),
        ];
      }
      return [];
    });
  });
}

/** For the same requests: what is for a part only has its place in that part. */
function stoodAbove(other: Step, step: Step): boolean {
  if (other.order > step.order || !areInOneHand(step, other) || appOf(other) !== appOf(step)) return false;
  // Files may have a path of their own, and would come by what stands above them all the same.
  if (isConcern(other, "static") && other.route === undefined) {
    return covers(step.node.path, other.node.path);
  }
  if (!comesBy(step, other)) return false;
  const isEverywhere = covers(step.node.path, other.node.path);
  return isEverywhere || isConcern(step, "cors", "cspReports");
}

/** A mounted app has an order of its own. */
function appOf({ ancestors }: Step): unknown {
  return ancestors.findLast(({ kind }) => kind === "app");
}

function isBehindAllRoutes(step: Step, steps: readonly Step[]): boolean {
  return (
    steps.some((other) => other.order < step.order && other.node.kind === "route") &&
    !steps.some((other) => other.order > step.order && mayAnswer(other))
  );
}

function isOurs({ node }: Step): boolean {
  return node.package === "express-portico";
}
