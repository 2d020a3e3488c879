import { requireFromHere } from "../config/require-from-here.js";

// What is used of the package, in shapes of our own: its types need not be installed, nor the package.

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

export interface Api {
  readonly trace: { getSpan(context: unknown): Span | undefined };
  readonly context: { active(): { getValue(key: symbol): unknown } };
  isSpanContextValid(context: SpanContext): boolean;
}

/** Where the package, in all its copies and 1.x versions, keeps what an SDK has registered. */
const REGISTRY = Symbol.for("opentelemetry.js.api.1");

let loaded: Api | undefined;
let tried = false;

/**
 * `@opentelemetry/api`, if an SDK is at work: without one there is no span, and the package is not even looked for. A
 * package that cannot be loaded, or is not what it should be, counts as none.
 */
export function openTelemetry(): Api | undefined {
  const registry = (globalThis as { [REGISTRY]?: { readonly context?: unknown } })[REGISTRY];
  if (registry?.context === undefined) return undefined;
  if (!tried) {
    tried = true;
    loaded = load();
  }
  return loaded;
}

function load(): Api | undefined {
  try {
    const name = "@opentelemetry/api";
    const api = (
      typeof require === "function" ? require("@opentelemetry/api") : requireFromHere(name)
    ) as Api;
    const functions = [api.trace.getSpan, api.context.active, api.isSpanContextValid];
    return functions.every((member) => typeof member === "function") ? api : undefined;
  } catch {
    return undefined;
  }
}
