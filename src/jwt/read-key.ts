import type { JsonWebKey, KeyObject } from "node:crypto";
import { isBag } from "../lib/config/checker.js";
import { describeThrown } from "../lib/values/thrown.js";
import type { KeyProperties } from "./algorithms.js";
import { bytesOf, type CryptoKey, readJwk } from "./key-set.js";

/** A key in any supported form: the issuer's public key, or for HMAC the secret. */
export type JwtKey = KeyObject | CryptoKey | JsonWebKey | JwkLike | Uint8Array | string;

/** A JSON Web Key, in the types of any library. */
export interface JwkLike {
  readonly kty?: string | undefined;
}

/** A key that was read and checked, but not yet imported. */
export interface ReadKey {
  readonly properties: KeyProperties;
  /** The id of a JSON Web Key. */
  readonly kid?: string | undefined;
  readonly key: KeyObject | CryptoKey;
}

const FORMS =
  "must be a KeyObject, a CryptoKey, a JSON Web Key, a public key as PEM (text or bytes), or a secret as bytes (Buffer, Uint8Array)";
export const PRIVATE_KEY = "is a private key, which only the issuer should have";

/** Reads a key in any form, or says what is wrong with it. All of it is read now, so that problems show at start-up. */
export function readKey(given: unknown): ReadKey | string {
  try {
    return read(given);
  } catch (fault) {
    return `cannot be read: ${describeThrown(fault).message}`;
  }
}

function read(given: unknown): ReadKey | string {
  const { types } = process.getBuiltinModule("node:util");
  if (typeof given === "string") return fromText(given);
  if (types.isUint8Array(given)) return fromBytes(Buffer.from(given));
  if (types.isKeyObject(given)) return fromKeyObject(given as KeyObject);
  if (types.isCryptoKey(given)) return fromCryptoKey(given as CryptoKey);
  return isBag(given) ? fromJwk(given) : FORMS;
}

const PEM = "-----BEGIN ";

function fromText(text: string): ReadKey | string {
  if (text.includes(PEM)) return fromPem(text);
  const jwk = objectIn(text);
  if (jwk !== undefined) return fromJwk(jwk);
  return "is a string, but not a public key's PEM or a JSON Web Key. Give a secret as bytes: Buffer.from(secret, encoding)";
}

/** A JSON Web Key, or a set of them, as text (from an environment variable or a file). */
function objectIn(text: string): Readonly<Record<string, unknown>> | undefined {
  if (!/^\s*\{/.test(text)) return undefined;
  try {
    return JSON.parse(text) as Readonly<Record<string, unknown>>;
  } catch {
    return undefined;
  }
}

/** Reads the content of a key file, or a secret. Bytes in the form of a public key are never used as a secret. */
function fromBytes(bytes: Buffer): ReadKey | string {
  const { createPublicKey, createSecretKey } = process.getBuiltinModule("node:crypto");
  const text = bytes.toString("latin1");
  if (text.includes(PEM)) return fromPem(text);
  if (isSpki(bytes)) return fromKeyObject(createPublicKey({ key: bytes, format: "der", type: "spki" }));
  const jwk = objectIn(text);
  return jwk === undefined ? fromKeyObject(createSecretKey(bytes)) : fromJwk(jwk);
}

/** Reads a PEM; in environment variables, line feeds are often written as `\n` or a space, and quotes around the text. */
function fromPem(given: string): ReadKey | string {
  const text = given
    .replace(/\\r|\\n/g, "\n")
    .replace(/^\s*["']|["']\s*$/g, "")
    .replace(/(-----BEGIN [\w ]+-----)([^-]+)(?=-----END )/g, (_all, begin: string, body: string) =>
      [begin, ...body.split(/\s+/).filter(Boolean), ""].join("\n"),
    );
  const count = text.split(PEM).length - 1;
  if (text.includes("PRIVATE KEY-----")) return PRIVATE_KEY;
  if (count > 1)
    return "has several PEMs, of which only one would be used: give a list of keys, one PEM each";
  try {
    return fromKeyObject(process.getBuiltinModule("node:crypto").createPublicKey(text));
  } catch (fault) {
    return `cannot be read as a public key's PEM: ${describeThrown(fault).message}`;
  }
}

function fromJwk(given: Readonly<Record<string, unknown>>): ReadKey | string {
  const { createPublicKey, createSecretKey } = process.getBuiltinModule("node:crypto");
  if ("keys" in given && !("kty" in given)) return "is a key set: give the list in its member keys";
  const jwk = readJwk(given);
  if (typeof jwk === "string") return jwk;
  const { kid } = jwk;
  if (jwk.kty === "oct") {
    const read = fromKeyObject(createSecretKey(bytesOf(given.k)));
    return typeof read === "string" ? read : { ...read, properties: jwk.properties, kid };
  }
  try {
    const read = fromKeyObject(createPublicKey({ key: given as JsonWebKey, format: "jwk" }));
    return typeof read === "string"
      ? read
      : { ...read, properties: { ...read.properties, alg: jwk.properties.alg }, kid };
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
  if (key.type === "private") return PRIVATE_KEY;
  if (key.type === "secret") {
    if (isPublicKey(key.export()))
      return "has the bytes of a public key, which are no secret: anyone may know them";
    return { key, properties: { kty: "oct", bytes: key.symmetricKeySize } };
  }
  const { modulusLength, publicExponent, namedCurve = "" } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case "rsa":
      return { key, properties: { kty: "RSA", bits: modulusLength, exponent: publicExponent } };
    case "ec":
      return { key, properties: { kty: "EC", crv: CURVES[namedCurve] ?? namedCurve } };
    case "ed25519":
      return { key, properties: { kty: "OKP", crv: "Ed25519" } };
    default:
      return `is of a type that is not supported: ${key.asymmetricKeyType}`;
  }
}

/** Whether the bytes are a public key: as PEM, as the base64 in a PEM, or as DER. */
function isPublicKey(secret: Buffer): boolean {
  const text = secret.toString("latin1");
  if (text.includes(PEM)) return true;
  const inText = /^[A-Za-z0-9+/=_\s-]+$/.test(text) ? [Buffer.from(text, "base64")] : [];
  return [secret, ...inText].some((der) => isSpki(der) || isPublicDer(der, "pkcs1") || isCertificate(der));
}

function isSpki(der: Buffer): boolean {
  return isPublicDer(der, "spki");
}

function isPublicDer(key: Buffer, type: "spki" | "pkcs1"): boolean {
  return succeeds(() =>
    process.getBuiltinModule("node:crypto").createPublicKey({ key, format: "der", type }),
  );
}

function isCertificate(der: Buffer): boolean {
  const { X509Certificate } = process.getBuiltinModule("node:crypto");
  return der[0] === 0x30 && succeeds(() => new X509Certificate(der));
}

function succeeds(attempt: () => unknown): boolean {
  try {
    attempt();
    return true;
  } catch {
    return false;
  }
}

/** The members of a WebCrypto algorithm; which ones are present depends on the algorithm. */
interface SubtleAlgorithm {
  readonly name: string;
  readonly hash?: { readonly name: string };
  readonly namedCurve?: string;
  readonly modulusLength?: number;
  readonly publicExponent?: Uint8Array;
}

function fromCryptoKey(key: CryptoKey): ReadKey | string {
  if (key.type === "private") return PRIVATE_KEY;
  const algorithm = key.algorithm as SubtleAlgorithm;
  const properties = key.type === "public" ? publicProperties(algorithm) : secretProperties(key);
  if (typeof properties === "string") return properties;
  if (!key.usages.includes("verify")) return 'was not imported for "verify"';
  const { name, hash } = algorithm;
  return { key, properties: { ...properties, subtle: { name, hash: hash?.name } } };
}

/** Reads the properties without a KeyObject: Node 26 deprecates making one from a key that is not extractable. */
function publicProperties({
  name,
  namedCurve,
  modulusLength,
  publicExponent,
}: SubtleAlgorithm): KeyProperties | string {
  if (publicExponent !== undefined) {
    return {
      kty: "RSA",
      bits: modulusLength,
      exponent: BigInt(`0x${Buffer.from(publicExponent).toString("hex")}`),
    };
  }
  if (namedCurve !== undefined) return { kty: "EC", crv: namedCurve };
  return name === "Ed25519" ? { kty: "OKP", crv: name } : `is of a type that is not supported: ${name}`;
}

function secretProperties(key: CryptoKey): KeyProperties | string {
  const read = fromKeyObject(process.getBuiltinModule("node:crypto").KeyObject.from(key));
  return typeof read === "string" ? read : read.properties;
}
