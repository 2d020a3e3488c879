const BRAND: unique symbol = Symbol.for("express-portico/abort-request") as never;

/**
 * Throw it to drop the connection: no response, and nothing in the error log. Same as Go's `http.ErrAbortHandler`.
 *
 * @example
 * if (isAbuse(req)) throw new AbortRequest();
 *
 * @example
 * // With a reason, for code that catches it:
 * throw new AbortRequest("the upstream stopped half-way");
 */
export class AbortRequest extends Error {
  override readonly name = "AbortRequest";
  readonly [BRAND] = true;

  constructor(message = "the request was aborted on purpose") {
    super(message);
  }
}

/** True also for an AbortRequest of another installed copy of this package. */
export function isAbortRequest(value: unknown): boolean {
  try {
    return (value as AbortRequest | null | undefined)?.[BRAND] === true;
  } catch {
    return false;
  }
}
