import { type Checker, isBag, refuseSecret } from "../lib/config/checker.js";
import type { AuthReason } from "../lib/request/state.js";
import type { JwtAlgorithm } from "./algorithms.js";
import type { Token } from "./token.js";

/** The value that a claim must have. */
export type ClaimValue = string | number | boolean;

/** What the header and claims of an accepted token must say. */
export interface Rules {
  /** The names of the issuers, or a function that returns `true` for them. */
  readonly issuers: readonly string[] | ((iss: string) => unknown);
  /** Undefined: `aud` is not checked, other claims identify the app. */
  readonly audiences: readonly string[] | undefined;
  readonly algorithms: readonly JwtAlgorithm[];
  readonly toleranceSeconds: number;
  /** In lower case, without `application/`; undefined: not checked. */
  readonly typ: string | undefined;
  readonly claims: readonly (readonly [name: string, values: readonly ClaimValue[]])[];
}

/** The token's algorithm, and the id of its key. */
export interface Signed {
  readonly algorithm: JwtAlgorithm;
  readonly kid: string | undefined;
}

/** Why a token is refused: a code for the log and for `onReject`, and a sentence for `NODE_DEBUG`. */
export interface Fault {
  readonly reason: AuthReason;
  readonly message: string;
}

/** Whether the token's `alg` is allowed (RFC 8725, section 3.1). */
export function hasKnownAlgorithm({ algorithms }: Rules, { header }: Token): boolean {
  return algorithms.includes(header.alg as JwtAlgorithm);
}

/** Whether the token is of the issuer. The result of a function is returned as it is. */
export function isOfIssuer({ issuers }: Rules, { claims }: Token): unknown {
  const { iss } = claims;
  if (typeof issuers !== "function") return issuers.includes(iss as string);
  return typeof iss === "string" && iss !== "" && issuers(iss);
}

/** Reads the algorithm and key id from the header, or says why the token is refused (RFC 8725, section 3.11). */
export function checkHeader({ typ }: Rules, { header }: Token): Signed | Fault {
  const { alg, kid, crit } = header;
  if (kid !== undefined && typeof kid !== "string") return fault("malformed", "its kid is not a string");
  if (crit !== undefined) {
    const message = "it has a critical extension (RFC 7515, section 4.1.11), and none is supported";
    return fault("rejected", message);
  }
  if (typ !== undefined && mediaType(header.typ) !== typ) return fault("rejected", `its typ is not ${typ}`);
  return { algorithm: alg as JwtAlgorithm, kid };
}

/** Removes `application/`, which is optional, and the difference of case (RFC 7515, section 4.1.9). */
export function mediaType(typ: unknown): string | undefined {
  return typeof typ === "string" ? typ.toLowerCase().replace(/^application\/(?=[^/]*$)/, "") : undefined;
}

/** Why the token is refused for its claims; undefined if it is not. `now` is in seconds. */
export function claimsFault(rules: Rules, { claims }: Token, now: number): Fault | undefined {
  const { toleranceSeconds: tolerance, audiences } = rules;
  const { exp, nbf, iat, aud } = claims;
  if (!isTime(exp)) {
    return exp === undefined
      ? fault("rejected", "it never expires")
      : fault("malformed", "its exp is not a time");
  }
  if (now - tolerance >= exp) return fault("expired", "it has expired");
  if (nbf !== undefined && !(isTime(nbf) && nbf <= now + tolerance)) return tooEarly(nbf, "nbf");
  if (iat !== undefined && !(isTime(iat) && iat <= now + tolerance)) return tooEarly(iat, "iat");
  if (audiences !== undefined) {
    if (aud === undefined) return fault("wrong-audience", "it has no audience (aud)");
    const meant = Array.isArray(aud) ? aud : [aud];
    if (!meant.some((one) => audiences.includes(one)))
      return fault("wrong-audience", "it is for another audience (aud)");
  }
  for (const [name, values] of rules.claims) {
    if (!Object.hasOwn(claims, name) || !values.includes(claims[name] as ClaimValue))
      return fault("rejected", `its ${name} has not the required value`);
  }
  return undefined;
}

function tooEarly(time: unknown, name: string): Fault {
  return isTime(time)
    ? fault("not-yet-valid", `it is not valid yet (${name})`)
    : fault("malformed", `its ${name} is not a time`);
}

function fault(reason: AuthReason, message: string): Fault {
  return { reason, message };
}

/** RFC 7519, section 2: NumericDate. */
function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

/** Claims that have options of their own, or are always checked. */
const OWN_RULES = ["iss", "aud", "exp", "nbf", "iat"];

/** Reads the option `claims`. With `audience: false` it is required: tokens for every app of the issuer would be accepted. */
export function checkClaims(checker: Checker): Rules["claims"] {
  const { claims, audience } = checker.options;
  if (audience === false && claims === undefined && !("claims" in checker.options)) {
    const reason =
      'needs claims that identify the app, such as claims: { client_id: "…" }: else tokens for any app of the issuer would be accepted';
    checker.add("audience", reason, false, "ERR_PORTICO_UNSAFE_OPTION");
    return [];
  }
  if (!("claims" in checker.options)) return [];
  if (!isBag(claims) || Object.keys(claims).length === 0) {
    refuseSecret(checker, "claims", claims, "must be an object of claims and their values, at least one");
    return [];
  }
  return Object.entries(claims).map(([name, value]) => {
    const option = `claims.${name}`;
    const values: unknown[] = Array.isArray(value) ? [...value] : [value];
    const wrong = values.find((one) => !["string", "number", "boolean"].includes(typeof one));
    if (OWN_RULES.includes(name))
      checker.addSecret(option, "is checked by an option of its own: issuer, audience or clockTolerance");
    else if (values.length === 0 || wrong !== undefined || values.includes(undefined))
      refuseSecret(
        checker,
        option,
        values.length === 0 ? [] : wrong,
        "must be a string, a number, true or false, or a list of them",
      );
    return [name, values as ClaimValue[]];
  });
}
