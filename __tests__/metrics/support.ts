import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { type Metric, Registry } from "prom-client";
import { metrics } from "../../src/metrics/index.js";

export type Labels = Readonly<Record<string, string | number>>;

/** One series, or one point of OpenTelemetry: its labels and how often it was counted. */
export interface Point {
  readonly labels: Labels;
  readonly value: number;
}

/** The points of an instrument that have counted anything. */
export type Read = (name: string) => Promise<Point[]>;

/** A registry and what is in it. */
export function inRegistry() {
  const registry = new Registry();
  const read: Read = async (name) => {
    const metric = (await (registry.getSingleMetric(name) as Metric).get()) as unknown as {
      type: string;
      values: { metricName?: string; labels: Labels; value: number }[];
    };
    return metric.values
      .filter(({ metricName }) => metric.type !== "histogram" || metricName === `${name}_count`)
      .map(({ labels, value }) => ({ labels, value }))
      .filter(({ value }) => value !== 0);
  };
  return { registry, read, handler: metrics({ registry }) };
}

/** A meter of OpenTelemetry's SDK and what it exports. */
export function inMeter() {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 1_000_000 });
  const provider = new MeterProvider({ readers: [reader] });
  const meter = provider.getMeter("test");
  const exported = async () => {
    exporter.reset();
    await reader.forceFlush();
    return exporter.getMetrics()[0]?.scopeMetrics[0]?.metrics ?? [];
  };
  const read: Read = async (name) =>
    (await exported())
      .filter(({ descriptor }) => descriptor.name === name)
      .flatMap(({ dataPoints }) => dataPoints as { attributes: Labels; value: number | { count: number } }[])
      .map(({ attributes, value }) => ({
        labels: attributes,
        value: typeof value === "number" ? value : value.count,
      }))
      .filter(({ value }) => value !== 0);
  return { meter, exported, read, handler: metrics({ meter }), close: () => provider.shutdown() };
}

/** Resolves when so many requests have ended. */
export async function ended(read: Read, name: string, count: number): Promise<void> {
  const started = performance.now();
  for (;;) {
    const points = await read(name);
    const seen = points.reduce((sum, { value }) => sum + value, 0);
    if (seen >= count) return;
    if (performance.now() - started > 25_000) throw new Error(`only ${seen} of ${count} requests have ended`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** The labels of the points that are new, or counted once more. */
export function newIn(before: readonly Point[], after: readonly Point[]): Labels[] {
  const key = ({ labels }: Point) => JSON.stringify(Object.entries(labels).sort());
  const counts = new Map(before.map((point) => [key(point), point.value]));
  return after.flatMap((point) => {
    const times = point.value - (counts.get(key(point)) ?? 0);
    return Array.from({ length: times }, () => point.labels);
  });
}
