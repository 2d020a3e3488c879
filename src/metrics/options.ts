import type { Checker, ForeignOptions } from "../lib/config/checker.js";
import { type Reader, readOptions, type SchemaOf } from "../lib/config/schema.js";
import { guardObserver } from "../lib/log/callback-faults.js";
import { describeThrown, peek } from "../lib/values/thrown.js";
import type { Recorder } from "./instruments.js";
import promClient from "./load-prom-client.cjs";
import { type MetricsMeter, meterRecorder } from "./meter.js";
import {
  type MetricsRegistry,
  namesTaken,
  type PromClient,
  recorderIn,
  registryRecorder,
} from "./registry.js";

/** Exactly one of them is required. */
export interface MetricsOptions {
  /** A registry of prom-client, which must be installed. @defaultValue none */
  readonly registry?: MetricsRegistry | undefined;
  /** A meter of OpenTelemetry. @defaultValue none */
  readonly meter?: MetricsMeter | undefined;
}

export const OPTIONS = () =>
  ({
    registry: withMethods<MetricsRegistry>(["registerMetric", "getSingleMetric"], registryProblem),
    meter: withMethods<MetricsMeter>(
      ["createHistogram", "createUpDownCounter", "createCounter"],
      meterProblem,
    ),
  }) satisfies SchemaOf<MetricsOptions>;

export interface MetricsPlan extends Recorder {
  /** The registry or the meter: a request is counted once in each. */
  readonly target: object;
  /** Reports what a recorder throws, once. */
  readonly report: (fault: unknown) => void;
}

export function checkOptions(options: MetricsOptions | undefined): MetricsPlan {
  const { checker, plan } = readOptions("metrics()", OPTIONS, options, { foreign: FOREIGN });
  checkEither(checker);
  const { registry, meter } = plan;
  const target = registry ?? meter;
  if (target === undefined || checker.problems.length > 0) return checker.done() as never;
  const recorder = registry === undefined ? meterRecorder(meter!) : recorderOf(registry, checker);
  if (recorder === undefined) return checker.done() as never;
  return {
    ...recorder,
    target,
    report: guardObserver("metrics: the registry or meter", rethrow)!,
  };
}

function rethrow(fault: unknown): never {
  throw fault;
}

function checkEither(checker: Checker): void {
  const { registry, meter } = checker.options;
  if (registry !== undefined && meter !== undefined) {
    checker.addSecret(
      "registry",
      "cannot be combined with meter: give one of them, or mount metrics() twice",
      "ERR_PORTICO_CONFLICTING_OPTIONS",
    );
  } else if (registry === undefined && meter === undefined) {
    checker.addSecret(
      "registry",
      "is missing: give registry (prom-client's, as in metrics({ registry: register })) or meter (OpenTelemetry's)",
      "ERR_PORTICO_MISSING_OPTION",
    );
  }
}

/** The recorder of the registry. Undefined, with a problem, if its instruments cannot be made. */
function recorderOf(registry: MetricsRegistry, checker: Checker): Recorder | undefined {
  const known = recorderIn(registry);
  if (known !== undefined) return known;
  const taken = namesTaken(registry);
  if (taken.length > 0) {
    const reason = `already has ${taken.join(" and ")}, which something else has made: give metrics() a registry of its own, and merge them with Registry.merge()`;
    checker.addSecret("registry", reason, "ERR_PORTICO_CONFLICTING_OPTIONS");
    return undefined;
  }
  const client = promClient.load() as PromClient | { readonly error: unknown };
  if ("error" in client) {
    const { message } = describeThrown(client.error);
    const reason = `needs the package prom-client, which could not be loaded (${message.split("\n", 1)[0]}). Run: npm install prom-client`;
    checker.addSecret("registry", reason, "ERR_PORTICO_MISSING_PACKAGE");
    return undefined;
  }
  return registryRecorder(registry, client);
}

function withMethods<T extends object>(
  methods: readonly string[],
  reason: (value: unknown) => string,
): Reader<T | undefined, T> {
  return (checker, option) => {
    const value = checker.options[option];
    if (value === undefined) return undefined;
    if (methods.every((method) => typeof peek(value, method) === "function")) return value as T;
    checker.addSecret(option, reason(value)); // a registry is long when it is printed
    return undefined;
  };
}

function registryProblem(value: unknown): string {
  if (typeof peek(value, "Registry") === "function")
    return "is the module prom-client; give its `register`, or a Registry that you made";
  if (typeof peek(value, "createHistogram") === "function")
    return "is a meter of OpenTelemetry: write metrics({ meter })";
  return "must be a Registry of prom-client: `register`, or one that you made with `new Registry()`";
}

function meterProblem(value: unknown): string {
  if (typeof peek(value, "getMeter") === "function")
    return "is a provider of meters: write metrics({ meter: provider.getMeter(name) })";
  if (typeof peek(value, "registerMetric") === "function")
    return "is a registry of prom-client: write metrics({ registry })";
  return 'must be a meter of OpenTelemetry: metrics.getMeter("my-app") of @opentelemetry/api';
}

/** Option names of other packages and what to write instead. */
export const FOREIGN: ForeignOptions = {
  "express-prom-bundle": {
    promRegistry: "registry",
    promClient: "registry",
    "includeMethod includePath includeStatusCode":
      "there is none: method, route template and status are always labels",
    "normalizePath formatStatusCode urlValueParser urlPathReplacement":
      "there is none: the label is the route's template, and the status as in the log",
    "customLabels transformLabels": "there is none: use an instrument of your own",
    "httpDurationMetricName metricType buckets percentiles":
      "there is none: name, type and buckets are those of OpenTelemetry's conventions",
    "bypass excludeRoutes": "there is none: mount those routes above metrics()",
    "autoregister metricsPath metricsApp":
      "there is none: docs/metrics.md shows `/metrics` on a port of its own",
    includeUp: "there is none: Prometheus has `up` of its own",
  },
  "express-prometheus-middleware": {
    "metricsPath authenticate": "there is none: docs/metrics.md shows `/metrics` on a port of its own",
    "collectDefaultMetrics collectGCMetrics": "call prom-client's collectDefaultMetrics({ register })",
    "requestDurationBuckets requestLengthBuckets responseLengthBuckets":
      "there is none: the buckets are those of OpenTelemetry's conventions",
    "extraMasks normalizeStatus":
      "there is none: the label is the route's template, and the status as in the log",
    prefix: "there is none: the names are those of OpenTelemetry's conventions",
  },
  "swagger-stats": {
    "uriPath authentication": "there is none: docs/metrics.md shows `/metrics` on a port of its own",
    durationBuckets: "there is none: the buckets are those of OpenTelemetry's conventions",
    metricsPrefix: "there is none: the names are those of OpenTelemetry's conventions",
    swaggerSpec: "there is none: the label is the route's template",
  },
};
