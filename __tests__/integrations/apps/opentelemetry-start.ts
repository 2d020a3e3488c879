import {
  AggregationTemporality,
  InMemoryMetricExporter,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { type ReadableSpan, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-node";
import { startTelemetry } from "../../../docs/integrations/opentelemetry.js";

const print = (fields: object) => console.log(JSON.stringify(fields));

function printSpan(span: ReadableSpan): void {
  const { traceId, spanId } = span.spanContext();
  print({
    span: span.name,
    by: span.instrumentationScope.name,
    traceId,
    spanId,
    parent: span.parentSpanContext?.spanId,
    attributes: span.attributes,
    code: span.status.code,
    errors: span.events.map(({ attributes }) => attributes?.["exception.message"]),
  });
}

const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
startTelemetry(
  new SimpleSpanProcessor({
    export(spans, done) {
      spans.forEach(printSpan);
      done({ code: 0 });
    },
    shutdown: async () => {},
  }),
  reader,
);

/** The app calls it when its server has closed. */
Object.assign(globalThis, {
  async printMetrics() {
    await reader.forceFlush();
    for (const { scope, metrics } of exporter.getMetrics().at(-1)!.scopeMetrics) {
      for (const { descriptor, dataPoints } of metrics) {
        for (const { attributes, value } of dataPoints) {
          const count = typeof value === "object" && "count" in value ? value.count : value;
          print({ metric: descriptor.name, by: scope.name, attributes, count });
        }
      }
    }
  },
});
