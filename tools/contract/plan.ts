import { Checker, isBag } from "../../src/lib/config/checker.js";
import { HIDDEN } from "../../src/lib/config/config-error.js";
import type { Expectations, HeaderBag, HeaderExpectation, LogExpectations } from "./expectations.js";
import { arrived, headerRules, headers, type Late, origin, path, pathOf, usersOf } from "./values.js";

export interface CorsPlan {
  readonly allowed: string;
  readonly refused: string | undefined;
  readonly methods: readonly string[];
  readonly headers: readonly string[];
  readonly exposed: readonly string[];
  readonly credentials: boolean;
}

export interface UploadPlan {
  readonly path: string;
  readonly method: string;
  readonly headers: HeaderBag;
  readonly bytes: number;
  readonly status: number;
}

export interface SlowPlan {
  readonly path: string;
  readonly status: number;
  readonly withinMs: number | undefined;
  readonly endsMs: number | undefined;
}

/** The checked expectations, with their defaults. */
export interface Plan {
  readonly cors: CorsPlan | undefined;
  readonly ok: string | undefined;
  readonly failing: { readonly path: string; readonly status: number } | undefined;
  readonly failingLate: string | undefined;
  readonly protected: { readonly path: string; readonly as: HeaderBag | undefined } | undefined;
  readonly slow: SlowPlan | undefined;
  readonly upload: UploadPlan | undefined;
  readonly personal: { readonly path: string; readonly as: readonly [HeaderBag, HeaderBag] } | undefined;
  readonly securityHeaders: readonly (readonly [string, HeaderExpectation | undefined])[];
  readonly secrets: readonly string[];
  readonly log: LogExpectations | undefined;
  readonly timeoutMs: number;
  readonly ca: string | undefined;
  /** Headers that are made when a case runs. */
  readonly late: readonly Late[];
}

const SUBJECT = "contract()";
const KNOWN = ["cors", "routes", "securityHeaders", "secrets", "log", "timeoutMs", "ca"] as const;
const CORS = ["allowed", "refused", "methods", "headers", "exposed", "credentials"] as const;
const ROUTES = ["ok", "failing", "failingLate", "protected", "slow", "upload", "personal"] as const;
const MAX_MS = 600_000;

/** Reads the expectations, and throws all problems at once. */
export function planOf(expectations: Expectations): Plan {
  const all = Checker.of(SUBJECT, expectations, KNOWN);
  const problems = all.problems;
  /** Checks an object within the options. */
  const within = (prefix: string, given: unknown, known: readonly string[]): Checker => {
    const bag = isBag(given) ? given : {};
    const checker = new Checker(SUBJECT, bag, `${prefix}.`);
    if (given !== undefined && !isBag(given)) {
      problems.push({ option: prefix, value: HIDDEN, reason: "must be an object" }); // it may hold credentials
    }
    checker.refuseUnknown(known);
    return checker;
  };
  const adopt = (checker: Checker) => void problems.push(...checker.problems);

  const routes = within("routes", all.options.routes, ROUTES);
  const { options } = routes;
  /** Checks a route: a path, or an object with one. */
  const route = (name: (typeof ROUTES)[number], known: readonly string[]): Checker | undefined => {
    const given = options[name];
    if (given === undefined) return undefined;
    const bag = within(`routes.${name}`, typeof given === "string" ? { path: given } : given, known);
    if (typeof given === "string" || isBag(given)) path(bag, "path");
    return bag;
  };
  const failing = route("failing", ["path", "status"]);
  const guarded = route("protected", ["path", "as"]);
  const slow = route("slow", ["path", "status", "withinMs", "endsMs"]);
  const upload = route("upload", ["path", "method", "headers", "bytes", "status"]);
  const personal = route("personal", ["path", "as"]);
  const late: Late[] = [];
  const errors = { min: 400, max: 599 };
  const ms = { min: 1, max: MAX_MS, unit: "milliseconds" };

  const plan: Plan = {
    cors: corsOf(all.options.cors),
    ok: path(routes, "ok", false),
    failing: failing && { path: pathOf(failing), status: failing.integer("status", errors, 500) },
    failingLate: path(routes, "failingLate", false),
    protected: guarded && { path: pathOf(guarded), as: headers(guarded, "as", late) },
    slow: slow && {
      path: pathOf(slow),
      status: slow.integer("status", errors, 503),
      withinMs: slow.integer("withinMs", ms),
      endsMs: slow.integer("endsMs", ms),
    },
    upload: upload && {
      path: pathOf(upload),
      method: (upload.string("method") ?? "POST").toUpperCase(),
      headers: headers(upload, "headers", late) ?? {},
      bytes: upload.integer("bytes", { min: 1, max: Number.MAX_SAFE_INTEGER, unit: "bytes" }, 10_000_000),
      status: upload.integer("status", errors, 413),
    },
    personal: personal && { path: pathOf(personal), as: usersOf(personal, late) },
    securityHeaders: headerRules(all),
    secrets: all.names("secrets") ?? [],
    log: logOf(all.options.log),
    timeoutMs: all.integer("timeoutMs", ms, 10_000),
    ca: all.string("ca"),
    late,
  };
  for (const checker of [routes, failing, guarded, slow, upload, personal]) if (checker) adopt(checker);
  all.done();
  return plan;

  function corsOf(given: unknown): CorsPlan | undefined {
    if (given === undefined) return undefined;
    const cors = within("cors", given, CORS);
    if (!isBag(given)) return undefined;
    const read: CorsPlan = {
      allowed: origin(cors, "allowed") ?? "",
      refused: cors.options.refused === undefined ? undefined : origin(cors, "refused"),
      methods: cors.names("methods") ?? ["GET"],
      headers: cors.names("headers")?.map((name) => name.toLowerCase()) ?? [],
      exposed: cors.names("exposed") ?? [],
      credentials: cors.boolean("credentials", false),
    };
    if (read.refused !== undefined && read.refused === read.allowed) {
      cors.add("refused", "must be another origin than the allowed one");
    }
    adopt(cors);
    return read;
  }

  function logOf(given: unknown): LogExpectations | undefined {
    if (given === undefined) return undefined;
    const log = within("log", given, ["lines"]);
    const lines = log.function<LogExpectations["lines"]>("lines");
    if (lines === undefined && log.problems.length === 0)
      log.add("lines", "must be a function that gives all lines");
    adopt(log);
    return lines && { lines };
  }
}

/** The plan of one case, with the headers that were made for it. */
export async function withHeaders(plan: Plan, url: string): Promise<Plan> {
  const made = new Map<HeaderBag, HeaderBag>();
  await Promise.all(plan.late.map(async (one) => void made.set(one.bag, await arrived(one, url))));
  const now = (bag: HeaderBag) => made.get(bag) ?? bag;
  const { protected: guarded, upload, personal } = plan;
  return {
    ...plan,
    protected: guarded && { ...guarded, as: guarded.as && now(guarded.as) },
    upload: upload && { ...upload, headers: now(upload.headers) },
    personal: personal && { ...personal, as: [now(personal.as[0]), now(personal.as[1])] },
  };
}
