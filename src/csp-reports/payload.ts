/** Reports of one request that are looked at. */
export const MAX_REPORTS = 100;

export interface Batch {
  readonly entries: readonly unknown[];
  /** How many more there were. */
  readonly over: number;
}

/**
 * The reports in a body, whatever its content type says: an array of them (the Reporting API), one alone (Safari), or one
 * under `csp-report`. Undefined if it can hold none.
 */
export function batchOf(body: unknown): Batch | undefined {
  if (Array.isArray(body)) {
    return { entries: body.slice(0, MAX_REPORTS), over: Math.max(0, body.length - MAX_REPORTS) };
  }
  if (typeof body !== "object" || body === null) return undefined;
  const isReport = Object.hasOwn(body, "csp-report") || Object.hasOwn(body, "type");
  return isReport ? { entries: [body], over: 0 } : undefined;
}

/** What a body that was read says; undefined if it is not JSON in UTF-8. */
export function parseJson(body: Uint8Array | string): { readonly value: unknown } | undefined {
  try {
    const text = typeof body === "string" ? body : new TextDecoder("utf-8", { fatal: true }).decode(body);
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}
