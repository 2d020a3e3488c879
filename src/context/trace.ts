import type { Trace } from "../http/facts.js";
import { randomText } from "../http/random.js";

// W3C Trace Context, section 3.2: version "-" trace-id "-" parent-id "-" trace-flags, all lower-case hex.
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const MAX_LENGTH = 512;

/** The caller's trace, or undefined if the header is not a valid traceparent (section 3.2.2: it is then ignored). */
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
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

/** A new trace, that nobody has decided to sample. */
export function newTrace(): Trace {
  return { traceId: randomText(16, "hex"), spanId: randomText(8, "hex"), sampled: false };
}
