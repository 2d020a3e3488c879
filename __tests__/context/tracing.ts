import type { RequestListener } from "node:http";
import { context, type Span, SpanKind, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type Sampler,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";

/** Registers the SDK as an application would; call `stop` in `afterEach`. */
export function startTracing(sampler?: Sampler) {
  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({
    spanProcessors: [new SimpleSpanProcessor(exporter)],
    ...(sampler !== undefined && { sampler }),
  });
  trace.setGlobalTracerProvider(provider);
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  return {
    /** The spans that have ended, in that order. */
    spans: () => exporter.getFinishedSpans(),
    stop: async () => {
      trace.disable();
      context.disable();
      await provider.shutdown();
    },
  };
}

export const RPC_METADATA = Symbol.for("OpenTelemetry SDK Context Key RPC_METADATA");

export interface Instrument {
  readonly kind?: SpanKind;
  /** The event with which the span ends: `close` for the instrumentation of node:http. */
  readonly endsOn?: "finish" | "close";
  readonly rpc?: { span?: Span; route?: string };
  readonly started?: (span: Span) => void;
}

/** Serves each request in a span of its own, in the way of the instrumentation of node:http. */
export function instrumented(
  listener: (req: never, res: never) => void,
  { kind = SpanKind.SERVER, endsOn = "close", rpc, started }: Instrument = {},
): RequestListener {
  return (req, res) => {
    const span = trace.getTracer("test").startSpan(req.method ?? "HTTP", { kind });
    started?.(span);
    let active = trace.setSpan(context.active(), span);
    if (rpc !== undefined) {
      rpc.span = span;
      active = active.setValue(RPC_METADATA, rpc);
    }
    res.on(endsOn, () => span.end());
    context.with(active, () => listener(req as never, res as never));
  };
}
