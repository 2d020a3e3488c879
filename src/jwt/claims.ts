import type { AuthReason } from "../lib/request/state.js";
import type { JwtAlgorithm } from "./algorithms.js";
import type { Token } from "./token.js";

/** What a claim must be: one of these values, exactly. */
export type ClaimValue = string | number | boolean;

/** What a token must say to be taken. */
export interface Rules {
  /** The names of the issuers, or a function that knows them. */
  readonly issuers: readonly string[] | ((iss: string) => unknown);
  /** Undefined: whom a token is for, its other claims say. */
  readonly audiences: readonly string[] | undefined;
  readonly algorithms: readonly JwtAlgorithm[];
  readonly toleranceSeconds: number;
  /** In lower case, without `application/`. */
  readonly typ: string | undefined;
  readonly claims: readonly (readonly [name: string, values: readonly ClaimValue[]])[];
}

/** The token's algorithm, and the id of its key. */
export interface Signed {
  readonly algorithm: JwtAlgorithm;
  readonly kid: string | undefined;
}

/** Why a token is refused: the code for the log and for observers, and the words for a person who looks for the fault. */
export interface Fault {
  readonly reason: AuthReason;
  readonly words: string;
}

/** Whether the token says that it was signed in one of the allowed ways (RFC 8725, section 3.1). */
export function hasKnownAlgorithm({ algorithms }: Rules, { header }: Token): boolean {
  return algorithms.includes(header.alg as JwtAlgorithm);
}

/** Whether the token is of the issuer: what a function says is not judged here. */
export function ofIssuer({ issuers }: Rules, { claims }: Token): unknown {
  const { iss } = claims;
  if (typeof issuers !== "function") return issuers.includes(iss as string);
  return typeof iss === "string" && iss !== "" && issuers(iss);
}

/** What the header says of the signature, or why the token is refused for it (RFC 8725, section 3.11). */
export function checkHeader({ typ }: Rules, { header }: Token): Signed | Fault {
  const { alg, kid, crit } = header;
  if (kid !== undefined && typeof kid !== "string") return fault("malformed", "its kid is no text");
  if (crit !== undefined) {
    const words = "it has a critical extension (RFC 7515, section 4.1.11), and none is known here";
    return fault("rejected", words);
  }
  if (typ !== undefined && mediaType(header.typ) !== typ) return fault("rejected", `its typ is not ${typ}`);
  return { algorithm: alg as JwtAlgorithm, kid };
}

/** RFC 7515, section 4.1.9: `application/` may be left out, and the case says nothing. */
export function mediaType(typ: unknown): string | undefined {
  return typeof typ === "string" ? typ.toLowerCase().replace(/^application\/(?=[^/]*$)/, "") : undefined;
}

/** Why the token is refused for what it claims, at a time in seconds; undefined if it is not. */
export function faultOf(rules: Rules, { claims }: Token, now: number): Fault | undefined {
  const { toleranceSeconds: tolerance, audiences } = rules;
  const { exp, nbf, iat, aud } = claims;
  if (!isTime(exp)) {
    return exp === undefined
      ? fault("rejected", "it never expires")
      : fault("malformed", "its exp is no time");
  }
  if (now - tolerance >= exp) return fault("expired", "it has expired");
  if (nbf !== undefined && !(isTime(nbf) && nbf <= now + tolerance)) return tooEarly(nbf, "nbf");
  if (iat !== undefined && !(isTime(iat) && iat <= now + tolerance)) return tooEarly(iat, "iat");
  if (audiences !== undefined) {
    if (aud === undefined) return fault("wrong-audience", "it does not say whom it is meant for (aud)");
    const meant = Array.isArray(aud) ? aud : [aud];
    if (!meant.some((one) => audiences.includes(one)))
      return fault("wrong-audience", "it is meant for somebody else (aud)");
  }
  for (const [name, values] of rules.claims) {
    if (!Object.hasOwn(claims, name) || !values.includes(claims[name] as ClaimValue))
      return fault("rejected", `its ${name} is not what it must be`);
  }
  return undefined;
}

function tooEarly(time: unknown, name: string): Fault {
  return isTime(time)
    ? fault("not-yet-valid", `it is not valid yet (${name})`)
    : fault("malformed", `its ${name} is no time`);
}

function fault(reason: AuthReason, words: string): Fault {
  return { reason, words };
}

/** RFC 7519, section 2: NumericDate. */
function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}
