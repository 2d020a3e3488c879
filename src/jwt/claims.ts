import type { JwtAlgorithm } from "./algorithms.js";
import type { Token } from "./token.js";

/** What a token must say to be taken. */
export interface Rules {
  readonly issuers: readonly string[];
  readonly audiences: readonly string[];
  readonly algorithms: readonly JwtAlgorithm[];
  readonly toleranceSeconds: number;
  /** In lower case, without `application/`. */
  readonly typ: string | undefined;
}

/** The token's algorithm, and the id of its key. */
export interface Signed {
  readonly algorithm: JwtAlgorithm;
  readonly kid: string | undefined;
}

/** Whether the token is of the issuer, and says that it was signed in one of its ways (RFC 8725, section 3.1). */
export function isKnown({ issuers, algorithms }: Rules, { header, claims }: Token): boolean {
  return issuers.includes(claims.iss as string) && algorithms.includes(header.alg as JwtAlgorithm);
}

/** What the header says of the signature, or why the token is refused for it (RFC 8725, section 3.11). */
export function checkHeader({ typ }: Rules, { header }: Token): Signed | string {
  const { alg, kid, crit } = header;
  if (kid !== undefined && typeof kid !== "string") return "its kid is no text";
  if (crit !== undefined)
    return "it has a critical extension (RFC 7515, section 4.1.11), and none is known here";
  if (typ !== undefined && mediaType(header.typ) !== typ) return `its typ is not ${typ}`;
  return { algorithm: alg as JwtAlgorithm, kid };
}

/** RFC 7515, section 4.1.9: `application/` may be left out, and the case says nothing. */
export function mediaType(typ: unknown): string | undefined {
  return typeof typ === "string" ? typ.toLowerCase().replace(/^application\/(?=[^/]*$)/, "") : undefined;
}

/** Why the token is refused for what it claims, at a time in seconds; undefined if it is not. */
export function faultOf(rules: Rules, { claims }: Token, now: number): string | undefined {
  const { toleranceSeconds: tolerance, audiences } = rules;
  const { exp, nbf, iat, aud } = claims;
  if (!isTime(exp)) return exp === undefined ? "it never expires" : "its exp is no time";
  if (now - tolerance >= exp) return "it has expired";
  if (nbf !== undefined && !(isTime(nbf) && nbf <= now + tolerance)) return "it is not valid yet (nbf)";
  if (iat !== undefined && !(isTime(iat) && iat <= now + tolerance))
    return "it was issued in the future (iat)";
  if (aud === undefined) return "it does not say whom it is meant for (aud)";
  const meant = Array.isArray(aud) ? aud : [aud];
  if (!meant.some((one) => audiences.includes(one))) return "it is meant for somebody else (aud)";
  return undefined;
}

/** RFC 7519, section 2: NumericDate. */
function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}
