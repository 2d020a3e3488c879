import { isHeaderValue, isToken } from "../lib/http/tokens.js";
import type { HeaderList } from "../lib/response/snapshot.js";
import { NEVER_STORED_STATUSES } from "./rules/statuses.js";
import { isNeverStored } from "./rules/stored-headers.js";

/** A stored response: plain data, which a store may keep as it is or as bytes. */
export interface Entry {
  readonly status: number;
  /** The reason phrase, if the handler gave one of its own; else empty. */
  readonly reason: string;
  /** Without those that are never stored. Names in the case in which they were written. */
  readonly headers: HeaderList;
  readonly body: Buffer;
  /** Milliseconds since the epoch: when the request was handed on to the handlers, and when their head came. */
  readonly requestedAt: number;
  readonly respondedAt: number;
  /** Whether the request had an Authorization field. */
  readonly authorized: boolean;
  readonly tags: readonly string[];
}

/**
 * Whether what a store gives back is an entry that can be sent: another program, another version or a fault may have
 * put anything there.
 */
export function isEntry(value: unknown): value is Entry {
  if (typeof value !== "object" || value === null) return false;
  const { status, reason, headers, body, requestedAt, respondedAt, authorized, tags } =
    value as Partial<Entry>;
  return (
    isStoredStatus(status) &&
    isValue(reason) &&
    Array.isArray(headers) &&
    headers.every(isHeader) &&
    Buffer.isBuffer(body) &&
    isTime(requestedAt) &&
    isTime(respondedAt) &&
    typeof authorized === "boolean" &&
    Array.isArray(tags) &&
    tags.every((tag) => typeof tag === "string")
  );
}

function isStoredStatus(status: unknown): boolean {
  return (
    Number.isInteger(status) &&
    (status as number) >= 200 &&
    (status as number) <= 999 &&
    !NEVER_STORED_STATUSES.has(status as number)
  );
}

function isHeader(pair: unknown): boolean {
  if (!Array.isArray(pair) || pair.length !== 2) return false;
  const [name, value] = pair as [unknown, unknown];
  if (typeof name !== "string" || !isToken(name) || isNeverStored(name.toLowerCase())) return false;
  return isValue(value) || Number.isFinite(value) || (Array.isArray(value) && value.every(isValue));
}

function isValue(value: unknown): boolean {
  return typeof value === "string" && isHeaderValue(value);
}

/** Milliseconds since the epoch, as far as a Date can say them. */
function isTime(value: unknown): boolean {
  return Number.isFinite(value) && Math.abs(value as number) <= 8.64e15;
}
