import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { describeHandler, type Handler } from "../lib/express/handler.js";
import { routeOf } from "../lib/express/route-template.js";
import { schemeOf } from "../lib/http/host.js";
import { methodLabel } from "../lib/http/method.js";
import { type RequestState, stateOf } from "../lib/request/state.js";
import { adopt } from "../lib/request/transport.js";
import { onEnd } from "../lib/response/end-hooks.js";
import { faultOf, finalStatus, outcomeOf } from "../lib/response/outcome.js";
import type { Arrived, Ended } from "./instruments.js";
import { checkOptions, type MetricsOptions, type MetricsPlan } from "./options.js";

export type { MetricsMeter } from "./meter.js";
export type { MetricsOptions } from "./options.js";
export type { MetricsRegistry } from "./registry.js";

/**
 * Counts requests and measures how long they take, by the names of OpenTelemetry's conventions: in a registry of
 * prom-client, or in a meter of OpenTelemetry. Each request is counted once, however it ends: refused, failed, aborted
 * (499), upgraded (101). No label has a value that a client chose.
 *
 * Mount it after `requestContext` and `requestLog`, before everything else: middleware before it is neither counted nor
 * timed. Several `metrics` with one registry or meter count in the same instruments, and a request only once.
 *
 * @example
 * import { register } from "prom-client";
 *
 * app.use(metrics({ registry: register }));
 *
 * @example
 * import { metrics as otel } from "@opentelemetry/api";
 *
 * app.use(metrics({ meter: otel.getMeter("shop") }));
 *
 * @throws {ConfigError} lists all problems of the options; also if prom-client is needed and not installed
 * @see docs/metrics.md
 * @see https://opentelemetry.io/docs/specs/semconv/http/http-metrics/
 */
export function metrics(options: MetricsOptions): Handler {
  const plan = checkOptions(options);
  return describeHandler(
    function metrics(req, res, next) {
      adopt(req, res);
      count(plan, req, res);
      next();
    },
    { concern: "metrics" },
  );
}

function count(plan: MetricsPlan, req: IncomingMessage, res: ServerResponse): void {
  const state = stateOf(req);
  if (state.internal) return; // made by this package, not by a client
  const { target } = plan;
  for (let seen = state.counted; seen !== undefined; seen = seen.other) {
    if (seen.target === target) return;
  }
  state.counted = { target, other: state.counted };
  const running = new Running(plan, req, state);
  try {
    plan.begin(running);
  } catch (fault) {
    plan.report(fault);
  }
  onEnd(req, res, end, running);
}

/** A request that is being answered. What could be gone or changed when its response ends is read when it arrives. */
class Running implements Arrived {
  readonly startedMs = performance.now();
  readonly method: string;
  readonly scheme: "http" | "https" | undefined;
  readonly socket: Socket | undefined;
  /** The app in which `metrics` is mounted. */
  readonly app: unknown;

  constructor(
    readonly plan: MetricsPlan,
    readonly req: IncomingMessage,
    readonly state: RequestState,
  ) {
    this.method = methodLabel(req.method);
    this.scheme = plan.needsScheme ? schemeOf(req) : undefined;
    this.socket = req.socket;
    this.app = (req as { readonly app?: unknown }).app;
  }
}

function end(res: ServerResponse, running: Running): void {
  const { plan, req, state, socket, app, startedMs } = running;
  const outcome = outcomeOf(req, res, socket);
  const fault = outcome === "truncated" && !state.failed ? faultOf(res, socket) : undefined;
  const status = finalStatus(res, outcome, state.failed || fault !== undefined);
  const ended: Ended = {
    seconds: (performance.now() - startedMs) / 1_000,
    route: state.route ?? routeOf(req, app) ?? "",
    status,
    errorType: errorTypeOf(plan, status, state, fault),
    refused: state.refused,
    cache: state.cache,
  };
  try {
    plan.end(running, ended);
  } catch (fault) {
    plan.report(fault);
  }
}

/** The status of a failure of the server, else the error's name. */
function errorTypeOf(plan: MetricsPlan, status: number, state: RequestState, fault: unknown): string {
  if (status >= 500) return String(status);
  if (state.failed) return plan.nameOfError(state.error);
  return fault === undefined ? "" : plan.nameOfError(fault);
}
