import type { IncomingMessage, ServerResponse } from "node:http";
import { describeHandler, type Handler } from "../lib/express/handler.js";
import { Monitor } from "../lib/health/monitor.js";
import { isServerClosing } from "../lib/request/context.js";
import { adopt } from "../lib/request/transport.js";
import { send } from "../lib/response/send.js";
import { answerProblem } from "../lib/response/send-problem.js";
import { checkOptions, type HealthOptions } from "./options.js";

export type { HealthCheck, HealthCheckOptions, HealthChecks } from "../lib/health/options.js";
export type { HealthOptions } from "./options.js";

/** The handler, with a method that ends its checks. */
export interface Health extends Handler {
  /** Stops the checks and aborts those under way. From then on the answer is 503. */
  close(): void;
}

/**
 * Answers readiness probes by the last results of checks that run in the background: 200 `{"status":"pass"}`, 200 with
 * `warn` if only optional checks fail, 503 with `fail` if a required one fails or has no result yet, or if
 * the server is closing. A request never runs a check.
 *
 * Mount it at a path, above `allowedHosts`, `authenticate`, rate limits and all else that may refuse a probe. With
 * `serve`, `probes: { ready, checks }` does the same before the app. For liveness use `probes.live`: it runs no check.
 *
 * @example
 * app.get("/readyz", health({ checks: { database: () => pool.query("SELECT 1") } }));
 *
 * @example
 * const ready = health({
 *   checks: {
 *     redis: () => redis.ping(),
 *     mail: { check: async (signal) => (await fetch(MAIL_STATUS, { signal })).ok, everyMs: 60_000, required: false },
 *   },
 * });
 * app.get("/readyz", ready);
 * server.on("close", () => ready.close());
 *
 * @throws {ConfigError} with all problems of the options
 * @see docs/health.md
 */
export function health(options: HealthOptions): Health {
  const { checks, details } = checkOptions(options);
  const monitor = new Monitor(checks).start();
  const handler = describeHandler(
    function health(req, res) {
      adopt(req, res);
      if (req.method !== "GET" && req.method !== "HEAD") return refuseMethod(req, res);
      const { status, body } = monitor.answer(isServerClosing(req), details);
      if (!res.headersSent) res.setHeader("Cache-Control", "no-store");
      send(req, res, status, "application/json", body);
    },
    { concern: "health", details },
  );
  return Object.assign(handler, { close: () => monitor.close() });
}

function refuseMethod(req: IncomingMessage, res: ServerResponse): void {
  if (res.headersSent) return;
  res.setHeader("Allow", "GET, HEAD");
  res.setHeader("Cache-Control", "no-store");
  answerProblem(req, res, 405, { detail: "Use GET or HEAD." });
}
