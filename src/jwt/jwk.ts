import { isBag } from "../config/check.js";
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
  const { kty, kid, use, key_ops: operations, alg } = value;
  if (kid !== undefined && typeof kid !== "string") return "has a kid that is no string";
  if (use !== undefined && use !== "sig") return `is not for signatures: its use is ${JSON.stringify(use)}`;
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes("verify"))) {
    return "is not for verifying: its key_ops say so";
  }
  if (alg !== undefined && !isAlgorithm(alg)) return "is for another algorithm";
  if ("d" in value || "priv" in value) return "is a private key: only the issuer should have it";
  const facts = factsOf(value, alg as JwtAlgorithm | undefined);
  if (facts === undefined) return `has a kty that is not supported, or not all members that ${kty} needs`;
  const { crv, n, e, x, y } = value;
  return { kty, kid, facts, members: { kty, crv, n, e, x, y } };
}

function factsOf(
  jwk: Readonly<Record<string, unknown>>,
  alg: JwtAlgorithm | undefined,
): KeyFacts | undefined {
  const { kty } = jwk;
  if (kty === "RSA") {
    const bits = bitsOf(jwk.n);
    return bits === undefined || bitsOf(jwk.e) === undefined ? undefined : { kty, bits, alg };
  }
  if (kty === "EC") return textOf(jwk, ["crv", "x", "y"]) ? { kty, crv: jwk.crv as string, alg } : undefined;
  if (kty === "OKP") return textOf(jwk, ["crv", "x"]) ? { kty, crv: jwk.crv as string, alg } : undefined;
  if (kty === "oct") return textOf(jwk, ["k"]) ? { kty, bytes: bytesOf(jwk.k).length, alg } : undefined;
  return undefined;
}

function textOf(jwk: Readonly<Record<string, unknown>>, names: readonly string[]): boolean {
  return names.every((name) => typeof jwk[name] === "string" && jwk[name] !== "");
}

export function bytesOf(base64url: unknown): Buffer {
  return Buffer.from(base64url as string, "base64url");
}

/** The length of a number (RFC 7518, section 2: Base64urlUInt), without its leading zeros. */
function bitsOf(base64url: unknown): number | undefined {
  if (typeof base64url !== "string") return undefined;
  const bytes = bytesOf(base64url);
  const first = bytes.findIndex((byte) => byte !== 0);
  return first === -1 ? undefined : (bytes.length - first) * 8 - Math.clz32(bytes[first]!) + 24;
}

/** Whether the key may have signed what says it was signed with this algorithm. */
export function isFor(algorithm: JwtAlgorithm, { facts }: Jwk): boolean {
  return misfit(algorithm, facts) === undefined;
}
