import type { JsonWebKey, KeyObject, webcrypto } from "node:crypto";
import { isBag } from "../config/check.js";
import { describeThrown } from "../http/thrown.js";
import type { KeyFacts } from "./algorithms.js";
import { bytesOf, readJwk } from "./jwk.js";

export type CryptoKey = webcrypto.CryptoKey;

/** A key in one of the forms people have it in: for signatures of an issuer the public one, for HMAC the secret. */
export type JwtKey = KeyObject | CryptoKey | JsonWebKey | JwkLike | Uint8Array | string;

/** A JSON Web Key, as whichever library has typed it. */
export interface JwkLike {
  readonly kty?: string | undefined;
}

/** A key as it was read: what it is, and what it will be imported from. */
export interface ReadKey {
  readonly facts: KeyFacts;
  readonly key: KeyObject | CryptoKey;
}

const FORMS =
  "must be a KeyObject, a CryptoKey, a JSON Web Key, a public key as PEM text, or a secret as bytes (Buffer, Uint8Array)";
const PRIVATE = "is a private key: only the issuer should have it. Give the public one";

/** Reads a key of any form, at once and wholly: what is wrong with it is known when the app starts. */
export function readKey(given: unknown): ReadKey | string {
  try {
    return read(given);
  } catch (fault) {
    return `cannot be read: ${describeThrown(fault).message}`;
  }
}

function read(given: unknown): ReadKey | string {
  const { types } = process.getBuiltinModule("node:util");
  const { createSecretKey } = process.getBuiltinModule("node:crypto");
  if (typeof given === "string") return fromPem(given);
  if (types.isUint8Array(given)) return fromKeyObject(createSecretKey(new Uint8Array(given)));
  if (types.isKeyObject(given)) return fromKeyObject(given as KeyObject);
  if (types.isCryptoKey(given)) return fromCryptoKey(given as CryptoKey);
  return isBag(given) ? fromJwk(given) : FORMS;
}

const PEM = "-----BEGIN ";

function fromPem(text: string): ReadKey | string {
  const count = text.split(PEM).length - 1;
  if (count === 0) {
    return "is a text, but not a public key's PEM. A secret is given as bytes: Buffer.from(secret, encoding)";
  }
  if (text.includes("PRIVATE KEY-----")) return PRIVATE;
  if (count > 1)
    return "has several PEMs in it, of which one would be taken: give one. For several keys there is jwks";
  try {
    return fromKeyObject(process.getBuiltinModule("node:crypto").createPublicKey(text));
  } catch (fault) {
    return `cannot be read as a public key's PEM: ${describeThrown(fault).message}`;
  }
}

function fromJwk(given: Readonly<Record<string, unknown>>): ReadKey | string {
  const { createPublicKey, createSecretKey } = process.getBuiltinModule("node:crypto");
  const jwk = readJwk(given);
  if (typeof jwk === "string") return jwk;
  if (jwk.kty === "oct") {
    const read = fromKeyObject(createSecretKey(bytesOf(given.k)));
    return typeof read === "string" ? read : { ...read, facts: jwk.facts };
  }
  try {
    const read = fromKeyObject(createPublicKey({ key: given as JsonWebKey, format: "jwk" }));
    return typeof read === "string" ? read : { ...read, facts: { ...read.facts, alg: jwk.facts.alg } };
  } catch (fault) {
    return `cannot be read as a JSON Web Key: ${describeThrown(fault).message}`;
  }
}

const CURVES: Readonly<Record<string, string>> = {
  prime256v1: "P-256",
  secp384r1: "P-384",
  secp521r1: "P-521",
};

function fromKeyObject(key: KeyObject): ReadKey | string {
  if (key.type === "private") return PRIVATE;
  if (key.type === "secret") {
    if (isPublicKey(key.export()))
      return "is a public key's bytes, which are no secret: everybody knows them";
    return { key, facts: { kty: "oct", bytes: key.symmetricKeySize } };
  }
  const { modulusLength, publicExponent, namedCurve = "" } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case "rsa":
      return { key, facts: { kty: "RSA", bits: modulusLength, exponent: publicExponent } };
    case "ec":
      return { key, facts: { kty: "EC", crv: CURVES[namedCurve] ?? namedCurve } };
    case "ed25519":
      return { key, facts: { kty: "OKP", crv: "Ed25519" } };
    default:
      return `is of a type that is not supported: ${key.asymmetricKeyType}`;
  }
}

/** In one of the forms it is handed around in: PEM, what stands in it, or the bytes of that. */
function isPublicKey(secret: Buffer): boolean {
  const text = secret.toString("latin1");
  if (text.includes(PEM)) return true;
  if (/^[A-Za-z0-9+/=\s]+$/.test(text) && isSpki(Buffer.from(text, "base64"))) return true;
  return isSpki(secret);
}

function isSpki(der: Buffer): boolean {
  try {
    process.getBuiltinModule("node:crypto").createPublicKey({ key: der, format: "der", type: "spki" });
    return true;
  } catch {
    return false;
  }
}

function fromCryptoKey(key: CryptoKey): ReadKey | string {
  const { KeyObject } = process.getBuiltinModule("node:crypto");
  const read = fromKeyObject(KeyObject.from(key));
  if (typeof read === "string") return read;
  if (!key.usages.includes("verify")) return 'was not imported for "verify"';
  const { name, hash } = key.algorithm as { name: string; hash?: { name: string } };
  return { key, facts: { ...read.facts, subtle: { name, hash: hash?.name } } };
}
