import { refusals, users } from "./cases/access.js";
import { head, securityHeaders, statuses } from "./cases/answers.js";
import { bodyLimit } from "./cases/body-limit.js";
import type { Check } from "./cases/case.js";
import { cors, preflight } from "./cases/cors.js";
import { disclosure } from "./cases/disclosure.js";
import { forgeries, hosts, methods } from "./cases/edge.js";
import { aborts, errors, slow } from "./cases/failures.js";
import { health } from "./cases/health.js";
import { loadShed } from "./cases/load-shed.js";
import { log } from "./cases/log.js";
import { metrics } from "./cases/metrics.js";
import type { Place } from "./client.js";
import { Client } from "./client.js";
import type { Expectations } from "./expectations.js";
import { type Plan, planOf, withHeaders } from "./plan.js";
import { type AppSource, targetOf } from "./target.js";

export type {
  CorsExpectations,
  Credentials,
  Expectations,
  HeaderBag,
  HeaderExpectation,
  LogExpectations,
  MetricsExpectations,
  Routes,
} from "./expectations.js";
export type { App, AppSource } from "./target.js";

/** One promise of the app, for `it(name, run)` or `test(name, run)`. */
export interface Case {
  /** A sentence that describes the behaviour. Names in a contract are unique. */
  readonly name: string;
  /** Rejects with an AssertionError that says what a browser or a client would see. */
  readonly run: () => Promise<void>;
}

const GROUPS = [
  statuses,
  preflight,
  cors,
  disclosure,
  securityHeaders,
  refusals,
  errors,
  aborts,
  slow,
  head,
  log,
  users,
  forgeries,
  hosts,
  methods,
  bodyLimit,
  health,
  loadShed,
  metrics,
];

/**
 * Test cases for an API that browsers use, for your own test runner: jest, vitest or node:test.
 *
 * Works on any Express app, with this package's middleware or without. Each case starts a server for the app on a free
 * port and closes it, or sends its requests to a URL. If the app or a token is made asynchronously, pass a promise or a
 * function. Run the cases one after the other, as runners do within a file.
 *
 * @example
 * for (const { name, run } of contract(app, { routes: { ok: "/hello" } })) test(name, run);
 *
 * @example
 * const cases = contract("https://staging.example", {
 *   cors: { allowed: "https://app.example", refused: "https://evil.example", credentials: true },
 *   routes: { ok: "/hello", protected: "/admin", failing: "/panic" },
 *   securityHeaders: true,
 * });
 *
 * @example
 * const cases = contract(async () => createApp(await connect()), {
 *   routes: { protected: { path: "/admin", as: async (url) => ({ authorization: await logIn(url) }) } },
 * });
 *
 * @throws {ConfigError} all that is wrong with the expectations, at once
 */
export function contract(app: AppSource, expectations: Expectations = {}): Case[] {
  const plan = planOf(expectations);
  const target = targetOf(app, plan.ca);
  return checksOf(plan).map(({ name, check }, i) => ({
    name,
    run: () =>
      target(async (place) => {
        const client = new Client(place, plan.timeoutMs);
        try {
          // Headers that are made late change neither the name nor the position of a case.
          const own =
            plan.deferred.length === 0 ? check : checksOf(await withHeaders(plan, urlOf(place)))[i]!.check;
          await own(client);
        } finally {
          await client.close();
        }
      }),
  }));
}

function checksOf(plan: Plan): Check[] {
  return GROUPS.flatMap((group) => group(plan));
}

function urlOf({ host, port, prefix, isSecure }: Place): string {
  const name = host.includes(":") ? `[${host}]` : host;
  return `${isSecure ? "https" : "http"}://${name}:${port}${prefix}`;
}
