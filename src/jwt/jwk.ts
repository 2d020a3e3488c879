import { isBag } from "../lib/config/checker.js";
import { isAlgorithm, type JwtAlgorithm, type KeyProperties, misfit } from "./algorithms.js";

/** A JSON Web Key (RFC 7517) that can check signatures. */
export interface Jwk {
  readonly kty: string;
  readonly kid: string | undefined;
  readonly properties: KeyProperties;
  /** The members that define the key, without metadata and private parts. */
  readonly members: Readonly<Record<string, unknown>>;
}

/** The key, or why it cannot check signatures. Private keys are refused: their private part is not just ignored. */
export function readJwk(value: unknown): Jwk | string {
  if (!isBag(value) || typeof value.kty !== "string") return "is no JSON Web Key";
  const { kty } = value;
  // Some issuers write null for missing members.
  const [kid, use, operations, alg] = ["kid", "use", "key_ops", "alg"].map(
    (name) => value[name] ?? undefined,
  );
  if (kid !== undefined && typeof kid !== "string") return "has a kid that is no string";
  if (use !== undefined && use !== "sig") return `is not for signatures: its use is ${String(use)}`;
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes("verify"))) {
    return "is not for verifying: its key_ops say so";
  }
  if (alg !== undefined && !isAlgorithm(alg)) return "is for an algorithm that is not supported";
  if ("d" in value || "priv" in value) return "is a private key, which only the issuer should have";
  const properties = shapeOf(value, alg as JwtAlgorithm | undefined);
  if (properties === undefined)
    return `has a kty that is not supported, or not all members that ${kty} needs`;
  const { crv, n, e, x, y } = value;
  return { kty, kid, properties, members: { kty, crv, n, e, x, y } };
}

function shapeOf(
  jwk: Readonly<Record<string, unknown>>,
  alg: JwtAlgorithm | undefined,
): KeyProperties | undefined {
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

/** Whether the key fits the algorithm. */
export function isFor(algorithm: JwtAlgorithm, { properties }: Jwk): boolean {
  return misfit(algorithm, properties) === undefined;
}
