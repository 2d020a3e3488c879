// The parts of OpenTelemetry that are used here, as types of our own: `@opentelemetry/api` need not be installed.

export interface SpanContext {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceFlags: number;
}

export interface Span {
  spanContext(): SpanContext;
  isRecording(): boolean;
  setAttribute(name: string, value: string | number): unknown;
  setStatus(status: { code: number; message?: string }): unknown;
  updateName(name: string): unknown;
  recordException(exception: { name: string; message: string; stack?: string }): unknown;
  // Not in the API, but on the SDK's spans.
  readonly kind?: number;
  readonly name?: string;
  readonly status?: { readonly code: number };
}

/** Kept by the instrumentation of `node:http` for other libraries. It names the span and the metrics by the route. */
export interface RpcMetadata {
  readonly span?: Span;
  route?: string;
}

/** A context of OpenTelemetry. */
export interface Context {
  getValue(key: symbol): unknown;
}

interface Registry {
  readonly context?: { active(): Context } | undefined;
}

/**
 * All copies and 1.x versions of `@opentelemetry/api` keep what an SDK has registered under this symbol. So the package
 * need not be loaded or bundled.
 */
const REGISTRY = Symbol.for("opentelemetry.js.api.1");
const SPAN = Symbol.for("OpenTelemetry Context Key SPAN");

/** The active context; undefined without an SDK. */
export function activeContext(): Context | undefined {
  return (globalThis as { [REGISTRY]?: Registry })[REGISTRY]?.context?.active();
}

export function spanOf(context: Context): Span | undefined {
  return context.getValue(SPAN) as Span | undefined;
}

/** W3C Trace Context, section 3.2.2: ids of only zeros are invalid. */
export function isValid({ traceId, spanId }: SpanContext): boolean {
  return /^(?!0{32})[\da-f]{32}$/i.test(traceId) && /^(?!0{16})[\da-f]{16}$/i.test(spanId);
}
