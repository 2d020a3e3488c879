import { errorNames } from "./error-type.js";
import { BUCKETS, CACHE_RESULTS, INSTRUMENTS, REASONS, type Recorder } from "./instruments.js";

/** A registry of prom-client: the part that is used here. */
export interface MetricsRegistry {
  getSingleMetric(name: string): unknown;
  // biome-ignore lint/suspicious/noExplicitAny: as prom-client declares it, a generic type that is known only there
  registerMetric(metric: any): void;
}

type Labels = Readonly<Record<string, string | number>>;

interface Config {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  readonly registers: readonly MetricsRegistry[];
}

/** The classes of prom-client: the part that is used here. */
export interface PromClient {
  readonly Histogram: new (
    config: Config & { readonly buckets: readonly number[] },
  ) => { observe(labels: Labels, value: number): void };
  readonly Gauge: new (
    config: Config & { readonly collect: () => void },
  ) => { set(labels: Labels, value: number): void };
  readonly Counter: new (config: Config) => { inc(labels: Labels, value?: number): void };
}

const { duration, active, refused, cache } = INSTRUMENTS;
const promName = (name: string, unit = "") => name.replaceAll(".", "_") + unit;

/** The names in Prometheus, in the order of `INSTRUMENTS`. */
export const PROMETHEUS_NAMES = {
  duration: promName(duration.name, "_seconds"),
  active: promName(active.name),
  refused: promName(refused.name, "_total"),
  cache: promName(cache.name, "_total"),
} as const;

/** How many requests of a method are being answered. */
interface Active {
  count: number;
}

/** The recorder of a registry is a property of its histogram, so that another copy of the package finds it too. */
const RECORDER: unique symbol = Symbol.for("express-portico/metrics/1") as never;

/** The recorder that an earlier `metrics` has made for the registry. */
export function recorderIn(registry: MetricsRegistry): Recorder | undefined {
  const histogram = registry.getSingleMetric(PROMETHEUS_NAMES.duration);
  return (histogram as { [RECORDER]?: Recorder } | undefined)?.[RECORDER];
}

/** The names that something else has taken in the registry. */
export function namesTaken(registry: MetricsRegistry): string[] {
  return Object.values(PROMETHEUS_NAMES).filter((name) => registry.getSingleMetric(name) !== undefined);
}

/** Makes the instruments, and registers them. */
export function registryRecorder(registry: MetricsRegistry, client: PromClient): Recorder {
  const names = PROMETHEUS_NAMES;
  const config = (name: string, help: string, ...labelNames: string[]): Config => ({
    name,
    help,
    labelNames,
    registers: [registry],
  });
  const durations = new client.Histogram({
    ...config(
      names.duration,
      duration.description,
      "http_request_method",
      "http_route",
      "http_response_status_code",
      "error_type",
    ),
    buckets: BUCKETS,
  });
  // Counted here and copied when it is scraped: that is cheaper, and a gauge that counts would be negative after `resetMetrics()`.
  const running = new Map<string, Active>();
  const gauge = new client.Gauge({
    ...config(names.active, active.description, "http_request_method"),
    collect: () => {
      for (const [method, { count }] of running) gauge.set({ http_request_method: method }, count);
    },
  });
  const refusals = new client.Counter(config(names.refused, refused.description, "by", "reason"));
  const cacheResults = new client.Counter(config(names.cache, cache.description, "result"));
  countFromZero(refusals, cacheResults);

  const recorder: Recorder = {
    needsScheme: false,
    nameOfError: errorNames(),
    begin({ method }) {
      const active = running.get(method);
      if (active === undefined) running.set(method, { count: 1 });
      else active.count++;
    },
    end({ method }, { seconds, route, status, errorType, refused, cache }) {
      running.get(method)!.count--;
      const labels = {
        http_request_method: method,
        http_route: route,
        http_response_status_code: status,
        error_type: errorType,
      };
      durations.observe(labels, seconds);
      if (refused !== undefined) refusals.inc({ by: refused.by, reason: refused.reason });
      if (cache !== undefined) cacheResults.inc({ result: cache });
    },
  };
  Object.defineProperty(durations, RECORDER, { value: recorder });
  return recorder;
}

type Counter = InstanceType<PromClient["Counter"]>;

/** A series that begins with 1 has no increase that Prometheus could see: the first refusal would not be in any rate. */
function countFromZero(refusals: Counter, cacheResults: Counter): void {
  for (const [by, reasons] of Object.entries(REASONS)) {
    for (const reason of reasons) refusals.inc({ by, reason }, 0);
  }
  for (const result of CACHE_RESULTS) cacheResults.inc({ result }, 0);
}
