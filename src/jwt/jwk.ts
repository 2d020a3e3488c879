import { isBag } from "../lib/config/checker.js";
import { isAlgorithm, type JwtAlgorithm, type KeyFacts, misfit } from "./algorithms.js";

/** A public JSON Web Key (RFC 7517) that signatures can be checked with. */
export interface Jwk {
  readonly kty: string;
  readonly kid: string | undefined;
  readonly facts: KeyFacts;
  /** What it is made of, and nothing else that may stand in it. */
  readonly members: Readonly<Record<string, unknown>>;
}

/** Why this is no key to check signatures with, or the key. What belongs to a private key is refused, not ignored. */
export function readJwk(value: unknown): Jwk | string {
  if (!isBag(value) || typeof value.kty !== "string") return "is no JSON Web Key";
  const { kty } = value;
  // Some issuers write null for what they leave out.
  const [kid, use, operations, alg] = ["kid", "use", "key_ops", "alg"].map(
    (name) => value[name] ?? undefined,
  );
  if (kid !== undefined && typeof kid !== "string") return "has a kid that is no string";
  if (use !== undefined && use !== "sig") return `is not for signatures: its use is ${String(use)}`;
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes("verify"))) {
    return "is not for verifying: its key_ops say so";
  }
  if (alg !== undefined && !isAlgorithm(alg)) return "is for another algorithm";
  if ("d" in value || "priv" in value) return "is a private key: only the issuer should have it";
  const facts = shapeOf(value, alg as JwtAlgorithm | undefined);
  if (facts === undefined) return `has a kty that is not supported, or not all members that ${kty} needs`;
  const { crv, n, e, x, y } = value;
  return { kty, kid, facts, members: { kty, crv, n, e, x, y } };
}

function shapeOf(
  jwk: Readonly<Record<string, unknown>>,
  alg: JwtAlgorithm | undefined,
): KeyFacts | undefined {
  const { kty } = jwk;
  if (kty === "RSA") {
    if (!hasTexts(jwk, ["n", "e"])) return undefined;
    return { kty, bits: numberOf(jwk.n).toString(2).length, exponent: numberOf(jwk.e), alg };
  }
  if (kty === "EC")
    return hasTexts(jwk, ["crv", "x", "y"]) ? { kty, crv: jwk.crv as string, alg } : undefined;
  if (kty === "OKP") return hasTexts(jwk, ["crv", "x"]) ? { kty, crv: jwk.crv as string, alg } : undefined;
  if (kty === "oct") return hasTexts(jwk, ["k"]) ? { kty, bytes: bytesOf(jwk.k).length, alg } : undefined;
  return undefined;
}

function hasTexts(jwk: Readonly<Record<string, unknown>>, names: readonly string[]): boolean {
  return names.every((name) => typeof jwk[name] === "string" && jwk[name] !== "");
}

export function bytesOf(base64url: unknown): Buffer {
  return Buffer.from(base64url as string, "base64url");
}

/** RFC 7518, section 2: Base64urlUInt. */
function numberOf(base64url: unknown): bigint {
  return BigInt(`0x0${bytesOf(base64url).toString("hex")}`);
}

/** Whether the key may have signed what says it was signed with this algorithm. */
export function isFor(algorithm: JwtAlgorithm, { facts }: Jwk): boolean {
  return misfit(algorithm, facts) === undefined;
}
