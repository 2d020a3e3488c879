import { words } from "../../../src/lib/values/words.js";
import {
  areInOneList,
  belongsAbove,
  covers,
  type Finding,
  isAlwaysAfter,
  isConcern,
  labelOf,
  type Step,
} from "../pipeline.js";
import { mayServe } from "./before-and-after.js";

/** One row of the order: what must not be above it, and the effect if it is. */
interface Row {
  readonly concern: string;
  readonly rule: string;
  readonly why: string;
  /** Only for this package's own middleware. */
  readonly oursOnly?: boolean;
  /** The most serious first: only the first that applies is reported. */
  readonly above: readonly Above[];
}

/**
 * How serious it is, what must not be above, and the effect. The last member returns false for pairs of nodes that are no
 * problem; without it every pair is one.
 */
type Above = readonly [
  level: Finding["level"],
  concerns: string,
  happens: (above: string) => string,
  counts?: (above: Step, step: Step) => boolean,
];

const WAITING = "session passport auth bodyParser upload";
const isOurs = (...steps: Step[]) => steps.every(({ node }) => node.package === "express-portico");
/** A `cors` whose origin is a function may need the deadline of the timeout above it. */
const isNoDeadlineForOrigins = (above: Step, { node }: Step) =>
  !isConcern(above, "timeout") || node.details?.allows !== undefined;

/** The order in the README, from the top. `cors` below auth or parsers, `bodyLimit`, `log` and the 404 have rules in other files. */
const ROWS: readonly Row[] = [
  {
    concern: "context",
    rule: "context-not-first",
    why: "Middleware above the context has no request id and no signal, and its uncaught errors belong to no request.",
    above: [
      [
        "fault",
        "auth rateLimit bodyParser upload timeout cache session allowedHosts csrf loadShed bodyLimit",
        (above) => `what ${above} answers has no request id, and its uncaught errors belong to no request`,
      ],
      [
        "advice",
        "log cors cspReports",
        (above) => `what ${above} does has no request id, and its uncaught errors belong to no request`,
      ],
      [
        "advice",
        "securityHeaders compress",
        (above) => `uncaught errors in ${above} belong to no request`,
        isOurs,
      ],
    ],
  },
  {
    concern: "metrics",
    rule: "metrics-late",
    why: "Metrics count the requests that reach them, and measure from there.",
    above: [
      [
        "fault",
        "auth rateLimit bodyParser upload timeout cache allowedHosts csrf bodyLimit",
        (above) => `what ${above} answers is in no metric`,
      ],
      ["advice", "cors cspReports static", (above) => `what ${above} answers is in no metric`],
      ["advice", "session", (above) => `the time that ${above} takes is not measured`],
      [
        "advice",
        "securityHeaders compress",
        (above) => `the time that ${above} takes is not measured`,
        isOurs,
      ],
    ],
  },
  {
    concern: "allowedHosts",
    rule: "allowed-hosts-late",
    why: "What is above it works for requests to every host: it reads their bodies, trusts their Host, and answers them.",
    above: [
      [
        "fault",
        "auth bodyParser upload session cache csrf",
        (above) => `${above} also works for requests to other hosts`,
      ],
      [
        "advice",
        "securityHeaders cors cspReports rateLimit loadShed timeout compress static",
        (above) => `requests to other hosts pass ${above} first`,
      ],
    ],
  },
  {
    concern: "securityHeaders",
    rule: "security-headers-late",
    why: "The headers are set when the request passes. Answers that were sent before have none of them.",
    above: [
      [
        "advice",
        "auth rateLimit bodyParser upload timeout cache static loadShed bodyLimit",
        (above) => `what ${above} answers has none of its headers`,
      ],
      ["advice", "cors", (above) => `what ${above} answers has none of its headers`, isOurs],
    ],
  },
  {
    concern: "cspReports",
    rule: "csp-reports-late",
    why: "Reports come without credentials, from pages of every origin, in types that other parsers do not read.",
    above: [
      ["fault", "auth", (above) => `${above} refuses the browsers' reports`],
      ["advice", "cors", (above) => `pages that ${above} does not allow cannot send reports`],
      ["advice", "rateLimit", () => "reports count against the limit of the visitor's own requests"],
      ["advice", "timeout session bodyParser", (above) => `every report passes ${above} first`],
    ],
  },
  {
    concern: "cors",
    rule: "cors-late",
    why: "Pages can only read answers with CORS headers: instead of the refusal they see a failed fetch.",
    above: [
      [
        "fault",
        "rateLimit timeout csrf loadShed bodyLimit",
        (above) => `what ${above} answers has no CORS headers, and pages of other origins cannot read it`,
        isNoDeadlineForOrigins,
      ],
      [
        "advice",
        "session upload",
        (above) => `every preflight passes ${above}, and its errors have no CORS headers`,
      ],
      ["advice", "cache", () => "the CORS headers are stored with each answer, once for each origin"],
    ],
  },
  {
    concern: "csrf",
    rule: "csrf-late",
    why: "A forged request should be refused before anything acts on it or spends time on it.",
    above: [
      ["advice", "auth bodyParser upload session", (above) => `forged requests pass ${above} first`],
      ["advice", "cache compress timeout loadShed", (above) => `forged requests pass ${above} first`, isOurs],
    ],
  },
  {
    concern: "loadShed",
    rule: "load-shed-late",
    why: "A refusal costs almost nothing. What is above it works for refused requests too, when there is no time for it.",
    above: [
      [
        "fault",
        "bodyParser upload",
        (above) => `${above} reads the bodies of requests that are then refused`,
      ],
      ["advice", "auth session passport", (above) => `refused requests pass ${above} first`],
      ["advice", "cache compress timeout", (above) => `refused requests pass ${above} first`, isOurs],
    ],
  },
  {
    concern: "rateLimit",
    rule: "rate-limit-late",
    why: "A limit saves the work of what is below it. What is above it also works for refused clients.",
    above: [
      ["advice", "auth", () => "guesses of credentials are not counted"],
      ["advice", "session upload", (above) => `refused clients also pass ${above}`],
      [
        "advice",
        "cache",
        () => "hits are not counted, and the RateLimit fields of one client are stored for others",
      ],
    ],
  },
  {
    concern: "cache",
    rule: "cache-late",
    why: "A hit needs nothing below the cache. What is above it costs time for each hit.",
    above: [
      ["advice", "session", (above) => `each hit asks ${above} first`],
      ["advice", "auth bodyParser upload timeout", (above) => `each hit passes ${above} first`],
    ],
  },
  {
    concern: "compress",
    rule: "compress-late",
    oursOnly: true,
    why: "Answers that are sent above it are not compressed.",
    above: [["advice", `${WAITING} timeout`, (above) => `what ${above} answers is not compressed`]],
  },
  {
    concern: "timeout",
    rule: "timeout-late",
    why: "The deadline begins when the request passes. What waits above it has no time limit.",
    above: [["advice", WAITING, (above) => `what ${above} waits for has no deadline`]],
  },
];

/** One finding for each middleware that is too late in the order. */
export function rowOrder(steps: readonly Step[]): Finding[] {
  return ROWS.flatMap((row) => {
    const all = steps.filter((step) => isConcern(step, row.concern));
    return all.flatMap((step) => {
      if ((step.route !== undefined && row.concern !== "cspReports") || step.isConditional) return [];
      if (row.oursOnly === true && !isOurs(step)) return [];
      if (all.some((other) => isAlwaysAfter(step, other))) return []; // the other one is in the right place
      if (row.concern === "rateLimit" && step.node.details?.keyed !== false) return [];
      if (isBehindAllRoutes(step, steps)) return [];
      const before = steps.filter((other) => isAbove(other, step));
      for (const [level, concerns, happens, counts = () => true] of row.above) {
        const above = before.find((other) => isConcern(other, ...words(concerns)) && counts(other, step));
        if (above === undefined) continue;
        const parts = { happens: happens(labelOf(above.node)), why: row.why };
        return [belongsAbove(row.rule, level, step, above, parts)];
      }
      return [];
    });
  });
}

/** Whether the other one is above the step, for the same requests. */
function isAbove(other: Step, step: Step): boolean {
  if (other.order > step.order || !areInOneList(step, other) || appOf(other) !== appOf(step)) return false;
  // Static files at a path of their own count too: their requests would pass the step if it were above them.
  if (isConcern(other, "static") && other.route === undefined) {
    return covers(step.node.path, other.node.path);
  }
  if (!isAlwaysAfter(step, other)) return false;
  const isEverywhere = covers(step.node.path, other.node.path);
  return isEverywhere || isConcern(step, "cors", "cspReports");
}

/** The nearest app around a step: each app has its own order. */
function appOf({ ancestors }: Step): unknown {
  return ancestors.findLast(({ kind }) => kind === "app");
}

function isBehindAllRoutes(step: Step, steps: readonly Step[]): boolean {
  return (
    steps.some((other) => other.order < step.order && other.node.kind === "route") &&
    !steps.some((other) => other.order > step.order && mayServe(other))
  );
}
