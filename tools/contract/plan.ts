import type { Checker } from "../../src/lib/config/checker.js";
import {
  boolean,
  fn,
  integer,
  names,
  nested,
  type PlanOf,
  readOptions,
  type Schema,
  type SchemaOf,
  string,
} from "../../src/lib/config/schema.js";
import type {
  CorsExpectations,
  Expectations,
  HeaderBag,
  LogExpectations,
  MetricsExpectations,
  Routes,
} from "./expectations.js";
import {
  type DeferredHeaders,
  headerRules,
  headers,
  makeHeaders,
  optional,
  origin,
  path,
  usersOf,
} from "./values.js";

const ERRORS = { min: 400, max: 599 };
const ANSWERS = { min: 200, max: 599 };
/** A test opens a connection for each. */
const AT_ONCE = { min: 1, max: 1_000 };
const MS = { min: 1, max: 600_000, unit: "milliseconds" };
const BYTES = { min: 1, max: Number.MAX_SAFE_INTEGER, unit: "bytes" };

export const CORS = () =>
  ({
    allowed: origin,
    refused: optional(origin),
    methods: names(["GET"]),
    headers: (checker, option) => names([])(checker, option).map((name) => name.toLowerCase()),
    exposed: names([]),
    credentials: boolean(false),
  }) satisfies SchemaOf<CorsExpectations>;

export const LOG = () => ({ lines: logLines }) satisfies SchemaOf<LogExpectations>;

export const METRICS = () =>
  ({
    text: fn<NonNullable<MetricsExpectations["text"]>>("must be a function that returns the metrics as text"),
    path: optional(path),
    counter: string("http_server_request_duration_seconds_count"),
  }) satisfies SchemaOf<MetricsExpectations>;

/** @param deferred gets the headers that are made when a case runs */
export const ROUTES = (deferred: DeferredHeaders[]) =>
  ({
    ok: optional(path),
    failing: route(() => ({ path, status: integer(ERRORS, 500) })),
    failingLate: optional(path),
    protected: route(() => ({ path, as: headers(deferred) })),
    slow: route(() => ({
      path,
      status: integer(ERRORS, 503),
      withinMs: integer(MS),
      endsMs: integer(MS),
    })),
    upload: route(() => ({
      path,
      method: (checker, option) => string("POST")(checker, option).toUpperCase(),
      headers: (checker, option) => headers(deferred)(checker, option) ?? {},
      bytes: integer(BYTES, 10_000_000),
      status: integer(ERRORS, 413),
    })),
    limited: route(() => ({
      path,
      limit: requiredBytes,
      method: (checker, option) => string("POST")(checker, option).toUpperCase(),
      headers: (checker, option) => headers(deferred)(checker, option) ?? {},
    })),
    changing: route(() => ({
      path,
      method: (checker, option) => string("POST")(checker, option).toUpperCase(),
      headers: (checker, option) => headers(deferred)(checker, option) ?? {},
    })),
    health: route(() => ({ path, status: integer(ANSWERS, 200), details: boolean(false) })),
    busy: route(() => ({
      path,
      limit: requiredLimit,
      queue: integer({ ...AT_ONCE, min: 0 }, 0),
      live: optional(path),
      headers: (checker, option) => headers(deferred)(checker, option) ?? {},
    })),
    personal: route(() => ({ path, as: usersOf(deferred) })),
  }) satisfies SchemaOf<Routes>;

export const OPTIONS = (deferred: DeferredHeaders[]) =>
  ({
    cors: optional(
      within(CORS, ({ allowed, refused }, checker) => {
        if (refused !== undefined && refused === allowed)
          checker.add("refused", "must be another origin than the allowed one");
      }),
    ),
    routes: within(() => ROUTES(deferred)),
    securityHeaders: headerRules,
    hosts: boolean(false),
    methodNotAllowed: boolean(false),
    secrets: names([]),
    log: optional(within(LOG)),
    metrics: optional(
      within(METRICS, ({ text, path }, checker) => {
        if (checker.problems.length === 0 && (text === undefined) === (path === undefined))
          checker.add(
            "text",
            "must be a function that returns the metrics as text, or give path: one of them",
          );
      }),
    ),
    timeoutMs: integer(MS, 10_000),
    ca: string(),
  }) satisfies SchemaOf<Expectations>;

/** Reads the expectations, and throws all problems at once. */
export function planOf(expectations: Expectations) {
  const deferred: DeferredHeaders[] = [];
  const { checker, plan } = readOptions("contract()", () => OPTIONS(deferred), expectations);
  return checker.done({ ...plan, ...plan.routes, deferred });
}

export type Plan = ReturnType<typeof planOf>;
export type CorsPlan = NonNullable<Plan["cors"]>;

/** An object within the options. It may hold credentials. */
function within<Readers extends Schema>(
  schema: () => Readers,
  finish?: (plan: PlanOf<Readers>, checker: Checker) => void,
) {
  return nested(schema, { reason: "must be an object", hasSecrets: true, ...(finish && { finish }) });
}

/** A path, or an object with one. */
function route<Readers extends Schema>(schema: () => Readers) {
  const expand = (given: unknown) => (typeof given === "string" ? { path: given } : given);
  return optional(nested(schema, { reason: "must be an object", hasSecrets: true, expand }));
}

function requiredBytes(checker: Checker, option: string): number {
  if (checker.options[option] === undefined)
    checker.add(option, "is required: the most bytes that the route takes, as in limit: 1_000_000");
  return integer(BYTES)(checker, option) ?? 1;
}

function requiredLimit(checker: Checker, option: string): number {
  if (checker.options[option] === undefined)
    checker.add(option, "is required: how many requests the route serves at once, as in limit: 20");
  return integer(AT_ONCE)(checker, option) ?? 1;
}

function logLines(checker: Checker, option: string): LogExpectations["lines"] {
  const isMissing = checker.options[option] === undefined;
  if (isMissing && checker.problems.length === 0)
    checker.add(option, "must be a function that returns all lines");
  return fn<LogExpectations["lines"]>()(checker, option)!;
}

/** The plan of one case, with the headers that were made for it. */
export async function withHeaders(plan: Plan, url: string): Promise<Plan> {
  const made = new Map<HeaderBag, HeaderBag>();
  await Promise.all(plan.deferred.map(async (one) => void made.set(one.bag, await makeHeaders(one, url))));
  const madeFor = (bag: HeaderBag) => made.get(bag) ?? bag;
  const { protected: guarded, upload, limited, changing, busy, personal } = plan;
  return {
    ...plan,
    protected: guarded && { ...guarded, as: guarded.as && madeFor(guarded.as) },
    upload: upload && { ...upload, headers: madeFor(upload.headers) },
    limited: limited && { ...limited, headers: madeFor(limited.headers) },
    changing: changing && { ...changing, headers: madeFor(changing.headers) },
    busy: busy && { ...busy, headers: madeFor(busy.headers) },
    personal: personal && { ...personal, as: [madeFor(personal.as[0]), madeFor(personal.as[1])] },
  };
}
