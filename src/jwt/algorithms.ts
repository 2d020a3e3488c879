/** What an algorithm requires of its key (RFC 7518 section 3, RFC 8037 section 3.1, RFC 9864). */
interface KeyRequirements {
  readonly kty: "oct" | "RSA" | "EC" | "OKP";
  readonly crv?: "P-256" | "P-384" | "P-521" | "Ed25519";
  /** The least length of a secret: that of the hash (RFC 7518, section 3.2). */
  readonly bytes?: number;
  /** The name in WebCrypto. */
  readonly name: "HMAC" | "RSASSA-PKCS1-v1_5" | "RSA-PSS" | "ECDSA" | "Ed25519";
  readonly hash?: "SHA-256" | "SHA-384" | "SHA-512";
}

export const ALGORITHMS = {
  HS256: { kty: "oct", bytes: 32, name: "HMAC", hash: "SHA-256" },
  HS384: { kty: "oct", bytes: 48, name: "HMAC", hash: "SHA-384" },
  HS512: { kty: "oct", bytes: 64, name: "HMAC", hash: "SHA-512" },
  RS256: { kty: "RSA", name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
  RS384: { kty: "RSA", name: "RSASSA-PKCS1-v1_5", hash: "SHA-384" },
  RS512: { kty: "RSA", name: "RSASSA-PKCS1-v1_5", hash: "SHA-512" },
  PS256: { kty: "RSA", name: "RSA-PSS", hash: "SHA-256" },
  PS384: { kty: "RSA", name: "RSA-PSS", hash: "SHA-384" },
  PS512: { kty: "RSA", name: "RSA-PSS", hash: "SHA-512" },
  ES256: { kty: "EC", crv: "P-256", name: "ECDSA" },
  ES384: { kty: "EC", crv: "P-384", name: "ECDSA" },
  ES512: { kty: "EC", crv: "P-521", name: "ECDSA" },
  EdDSA: { kty: "OKP", crv: "Ed25519", name: "Ed25519" },
  Ed25519: { kty: "OKP", crv: "Ed25519", name: "Ed25519" },
} as const satisfies Record<string, KeyRequirements>;

/** The name of a signature algorithm (JWA), never `none`. */
export type JwtAlgorithm = keyof typeof ALGORITHMS;

export function requirementsOf(algorithm: JwtAlgorithm): KeyRequirements {
  return ALGORITHMS[algorithm];
}

export function isAlgorithm(name: unknown): name is JwtAlgorithm {
  return typeof name === "string" && Object.hasOwn(ALGORITHMS, name);
}

/** Whether tokens are signed and checked with the same secret. */
export function isSymmetric(algorithm: JwtAlgorithm): boolean {
  return requirementsOf(algorithm).kty === "oct";
}

/** The properties of a key that decide which algorithms it fits. */
export interface KeyProperties {
  readonly kty: string;
  readonly crv?: string | undefined;
  /** The length of a secret. */
  readonly bytes?: number | undefined;
  /** The length of an RSA key, and its public exponent. */
  readonly bits?: number | undefined;
  readonly exponent?: bigint | undefined;
  /** The only algorithm that the key may be used for. */
  readonly alg?: string | undefined;
  /** The algorithm and hash that a CryptoKey was imported for. */
  readonly subtle?: { readonly name: string; readonly hash?: string | undefined } | undefined;
}

/** RFC 7518, sections 3.3 and 3.5. */
const MIN_RSA_BITS = 2_048;
/** Larger keys and exponents would make each signature check slow. */
const MAX_RSA_BITS = 8_192;
const MAX_EXPONENT = 2n ** 33n;

/** Why a key does not fit an algorithm; undefined if it does. */
export function misfit(algorithm: JwtAlgorithm, key: KeyProperties): string | undefined {
  const { kty, crv, bytes = 0, name, hash } = requirementsOf(algorithm);
  if (key.kty !== kty || key.crv !== crv) {
    const [needed, given] = [describe(kty, crv), describe(key.kty, key.crv)];
    return `needs ${needed}, and the key is ${given}`;
  }
  if ((key.bytes ?? Infinity) < bytes) {
    return `needs a secret of at least ${bytes} bytes (RFC 7518, section 3.2), and this one has ${key.bytes}`;
  }
  if ((key.bits ?? Infinity) < MIN_RSA_BITS) {
    return `needs an RSA key of at least ${MIN_RSA_BITS} bits (RFC 7518, section 3), and this one has ${key.bits}`;
  }
  if ((key.bits ?? 0) > MAX_RSA_BITS) {
    return `needs an RSA key of at most ${MAX_RSA_BITS} bits, and this one has ${key.bits}`;
  }
  const { exponent = 3n } = key;
  if (exponent < 3n || exponent % 2n === 0n || exponent > MAX_EXPONENT) {
    return "needs an RSA key with an odd public exponent from 3 to 2^33 (as 65537), and this one has another";
  }
  if (key.alg !== undefined && modernName(key.alg) !== modernName(algorithm))
    return `is not what the key was made for: ${key.alg}`;
  const { subtle } = key;
  if (subtle === undefined || (subtle.name === name && (hash === undefined || subtle.hash === hash))) {
    return undefined;
  }
  return `is not what the key was imported for: ${[subtle.name, subtle.hash].filter(Boolean).join(" with ")}`;
}

/** RFC 9864 gives EdDSA with the curve Ed25519 the name `Ed25519`. */
function modernName(algorithm: string): string {
  return algorithm === "EdDSA" ? "Ed25519" : algorithm;
}

const NAMES: Readonly<Record<string, string>> = {
  oct: "a secret",
  RSA: "an RSA key",
  EC: "an elliptic-curve key",
  OKP: "an Edwards-curve key",
};

function describe(kty: string, crv: string | undefined): string {
  const name = NAMES[kty] ?? `of type ${kty}`;
  return crv === undefined ? name : `${name} on ${crv}`;
}
