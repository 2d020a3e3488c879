import { isHeaderValue, isToken } from "../lib/http/tokens.js";
import type { HeaderList } from "../lib/response/snapshot.js";
import { NEVER_STORED_STATUSES } from "./rules/statuses.js";
import { isNeverStored } from "./rules/stored-headers.js";

/** A stored answer: plain data, which a store can hold as it is or as bytes. */
export interface Entry {
  readonly status: number;
  /** The reason phrase that the handler has set, or an empty string. */
  readonly reason: string;
  /** Without those that are never stored. Names as they were written, upper and lower case. */
  readonly headers: HeaderList;
  readonly body: Buffer;
  /** When the request went to the handlers, in milliseconds since the epoch. */
  readonly requestedAt: number;
  /** When the head of their answer came, in milliseconds since the epoch. */
  readonly respondedAt: number;
  /** Whether the request was authenticated. */
  readonly authorized: boolean;
  readonly tags: readonly string[];
}

/**
 * Whether a store has returned an entry that can be sent. Another program, another version or a fault may have put
 * anything there.
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

/** The range of a Date, in milliseconds since the epoch. */
function isTime(value: unknown): boolean {
  return Number.isFinite(value) && Math.abs(value as number) <= 8.64e15;
}
