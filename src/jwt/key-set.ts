import type { webcrypto } from "node:crypto";
import type { JWK } from "jose";
import { importJWK } from "jose/key/import";
import { isBag } from "../lib/config/checker.js";
import { isAlgorithm, type JwtAlgorithm, type KeyProperties, misfit } from "./algorithms.js";

export type CryptoKey = webcrypto.CryptoKey;

export type Keys = readonly CryptoKey[];

/** Finds the keys that a token may have been signed with. */
export interface KeySource {
  /**
   * The result is empty if no key fits, or too many do. Throws or rejects if the keys cannot be fetched.
   *
   * @param issuer already accepted by the option `issuer`
   */
  find(algorithm: JwtAlgorithm, kid: string | undefined, issuer: string): Keys | Promise<Keys>;
}

/** Keys with the same id and algorithm are tried one after the other; issuers do not have more than these. */
const MAX_TRIED = 4;

/** A JSON Web Key Set (RFC 7517, section 5), as it was fetched. */
export class KeySet {
  readonly #all: readonly Jwk[];
  readonly #byKid = new Map<string | undefined, Jwk[]>();
  readonly #imported = new Map<string, Keys | Promise<Keys>>();

  /** @throws if it is no key set, or has no key that can check signatures */
  constructor(parsed: unknown) {
    const listed = (parsed as { keys?: unknown } | null | undefined)?.keys;
    if (!Array.isArray(listed)) throw new Error("the body is not a JSON Web Key Set");
    // A secret in a public set is no secret.
    const keys = listed.map(readJwk).filter((key) => typeof key !== "string" && key.kty !== "oct") as Jwk[];
    if (keys.length === 0) throw new Error("the key set has no key that can check signatures");
    this.#all = keys;
    for (const key of keys) {
      const same = this.#byKid.get(key.kid);
      if (same === undefined) this.#byKid.set(key.kid, [key]);
      else same.push(key);
    }
  }

  /** Undefined if there is no such key; an empty list if several keys fit and the token names none of them. */
  find(algorithm: JwtAlgorithm, kid: string | undefined): Keys | Promise<Keys> | undefined {
    const name = kid === undefined ? algorithm : `${algorithm} ${kid}`;
    const known = this.#imported.get(name);
    if (known !== undefined) return known;
    const listed = kid === undefined ? this.#all : (this.#byKid.get(kid) ?? []);
    const fit = listed.filter((key) => isFor(algorithm, key));
    if (fit.length === 0) return undefined;
    if (fit.length > (kid === undefined ? 1 : MAX_TRIED)) return [];
    const found = importAll(algorithm, fit);
    this.#imported.set(name, found);
    void found.then((keys) => this.#imported.set(name, keys));
    return found;
  }
}

/** Leaves out keys that cannot be imported, so that one broken key does not fail all tokens of the issuer. */
async function importAll(algorithm: JwtAlgorithm, fit: readonly Jwk[]): Promise<Keys> {
  const keys = await Promise.all(
    fit.map((key) => importPublic(key.members, algorithm).catch(() => undefined)),
  );
  return keys.filter((key): key is CryptoKey => key !== undefined);
}

export async function importPublic(jwk: object, algorithm: JwtAlgorithm): Promise<CryptoKey> {
  return (await importJWK(jwk as JWK, algorithm)) as CryptoKey;
}

/** A JSON Web Key (RFC 7517) that can check signatures. */
export interface Jwk {
  readonly kty: string;
  readonly kid: string | undefined;
  readonly properties: KeyProperties;
  /** The members that define the key, without metadata and private parts. */
  readonly members: Readonly<Record<string, unknown>>;
}

/** The key, or why it cannot check signatures. Private keys are refused as a whole, so that their misuse is noticed. */
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
function isFor(algorithm: JwtAlgorithm, { properties }: Jwk): boolean {
  return misfit(algorithm, properties) === undefined;
}
