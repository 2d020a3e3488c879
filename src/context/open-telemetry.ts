// What is used of OpenTelemetry, in shapes of our own: neither its API package nor its types need be installed.

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
  // Readable on the SDK's spans.
  readonly kind?: number;
  readonly name?: string;
  readonly status?: { readonly code: number };
}

/** What the instrumentation of `node:http` keeps for the libraries above it; it names span and metrics by the route. */
export interface RpcMetadata {
  readonly span?: Span;
  route?: string;
}

/** A context of OpenTelemetry: an immutable map. */
export interface Context {
  getValue(key: symbol): unknown;
}

interface Registry {
  readonly context?: { active(): Context } | undefined;
}

/**
 * Where `@opentelemetry/api`, in all its copies and 1.x versions, keeps what an SDK has registered. The copies find each
 * other by these symbols, so the package itself need not be loaded, and a bundler has nothing to look for.
 */
const REGISTRY = Symbol.for("opentelemetry.js.api.1");
const SPAN = Symbol.for("OpenTelemetry Context Key SPAN");

/** The active context; none without an SDK. */
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
