/**
 * What the headers of a stored response say about its use by a shared cache, in numbers (RFC 9111). Computed once per
 * stored response; times in milliseconds.
 */
export interface Policy {
  /** The freshness lifetime; 0 if nothing gives one. */
  readonly lifetimeMs: number;
  /** The corrected initial age (section 4.2.3). */
  readonly initialAgeMs: number;
  /** When the response came (local clock): the age grows from here. */
  readonly respondedAt: number;
  /** `no-cache`: every use needs a validation. */
  readonly noCache: boolean;
  /** `must-revalidate`, `proxy-revalidate` or `s-maxage`: never used stale. */
  readonly mustRevalidate: boolean;
  /** RFC 5861: how long after its end of freshness it may still be used, while it is refreshed, or on an error. */
  readonly staleWhileRevalidateMs: number;
  readonly staleIfErrorMs: number;
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
}
