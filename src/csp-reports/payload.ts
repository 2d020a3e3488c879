/** How many entries of one body are read. */
export const MAX_REPORTS = 100;

export interface Batch {
  readonly entries: readonly unknown[];
  /** How many entries beyond the limit were left out. */
  readonly over: number;
}

/**
 * The entries of a body, independent of its content type: an array (the Reporting API), one report (Safari), or one under
 * `csp-report`. Undefined for anything else.
 */
export function batchOf(body: unknown): Batch | undefined {
  if (Array.isArray(body)) {
    return { entries: body.slice(0, MAX_REPORTS), over: Math.max(0, body.length - MAX_REPORTS) };
  }
  if (typeof body !== "object" || body === null) return undefined;
  const isReport = Object.hasOwn(body, "csp-report") || Object.hasOwn(body, "type");
  return isReport ? { entries: [body], over: 0 } : undefined;
}

/** Parses a body; undefined if it is not JSON in UTF-8. */
export function parseJson(body: Uint8Array | string): { readonly value: unknown } | undefined {
  try {
    const text = typeof body === "string" ? body : new TextDecoder("utf-8", { fatal: true }).decode(body);
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}
