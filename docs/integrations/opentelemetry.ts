import { register } from "node:module";
import { metrics } from "@opentelemetry/api";
import { registerInstrumentations } from "@opentelemetry/instrumentation";
import { ExpressInstrumentation } from "@opentelemetry/instrumentation-express";
import { HttpInstrumentation } from "@opentelemetry/instrumentation-http";
import { AggregationType, MeterProvider, type MetricReader } from "@opentelemetry/sdk-metrics";
import { NodeTracerProvider, type SpanProcessor } from "@opentelemetry/sdk-trace-node";

/** To be called before the app is imported: `node --import ./telemetry.js app.js`. */
export function startTelemetry(spans: SpanProcessor, reader: MetricReader): void {
  register("@opentelemetry/instrumentation/hook.mjs", import.meta.url); // for apps that are ES modules
  new NodeTracerProvider({ spanProcessors: [spans] }).register();
  const meterProvider = new MeterProvider({
    readers: [reader],
    // metrics() of express-portico has the same one, which knows refusals and the routes of routers.
    views: [
      { meterName: "@opentelemetry/instrumentation-http", aggregation: { type: AggregationType.DROP } },
    ],
  });
  metrics.setGlobalMeterProvider(meterProvider);
  registerInstrumentations({
    meterProvider,
    instrumentations: [new HttpInstrumentation(), new ExpressInstrumentation()],
  });
}
