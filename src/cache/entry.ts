import type { HeaderList } from "../http/response-snapshot.js";

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
