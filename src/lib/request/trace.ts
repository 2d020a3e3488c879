import { randomText } from "../values/random.js";
import type { Trace } from "./state.js";

// W3C Trace Context, section 3.2: version "-" trace-id "-" parent-id "-" trace-flags, all lower-case hex. Node joins two
// such headers with a comma, which is not valid.
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[^,]*)?$/;
const MAX_LENGTH = 512;

/** The flags that version 00 defines. Other flags must not be passed on (section 3.2.2.5). */
const SAMPLED = 1;
const RANDOM = 2;

class TraceContext implements Trace {
  readonly sampled: boolean;
  readonly #flags: number;

  constructor(
    readonly traceId: string,
    readonly spanId: string,
    flags: number,
  ) {
    this.sampled = (flags & SAMPLED) !== 0;
    this.#flags = flags & (SAMPLED | RANDOM);
  }

  toString(): string {
    return `00-${this.traceId}-${this.spanId}-0${this.#flags}`;
  }
}

/** The caller's trace, or undefined if the header is not a valid traceparent and so is ignored (section 3.2.2). */
export function parseTraceparent(value: string): Trace | undefined {
  if (value.length > MAX_LENGTH) return undefined;
  const match = TRACEPARENT.exec(value);
  if (match === null) return undefined;
  const [, version, traceId, spanId, flags, rest] = match as unknown as [
    string,
    string,
    string,
    string,
    string,
    string?,
  ];
  if (version === "ff" || (version === "00" && rest !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return new TraceContext(traceId, spanId, Number.parseInt(flags, 16));
}

/** A new trace that is not sampled. */
export function newTrace(): Trace {
  return new TraceContext(randomText(16, "hex"), randomText(8, "hex"), RANDOM);
}

/** The trace of a span of OpenTelemetry. */
export function traceOfSpan(span: { traceId: string; spanId: string; traceFlags: number }): Trace {
  return new TraceContext(span.traceId, span.spanId, span.traceFlags);
}
