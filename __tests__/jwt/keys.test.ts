import { createPublicKey, createSecretKey, generateKeyPairSync, webcrypto } from "node:crypto";
import { ALGORITHMS } from "../../src/jwt/algorithms.js";
import { type JwtAlgorithm, type JwtKey, jwt } from "../../src/jwt/index.js";
import { ConfigError } from "../../src/lib/config/config-error.js";
import { type Asymmetric, base, good, INVALID, jwkOf, pairs, pemOf, SECRET, send } from "./support.js";

const asymmetric = Object.keys(pairs) as Asymmetric[];
const secretive = ["HS256", "HS384", "HS512"] as const;
const { subtle } = webcrypto;

const SUBTLE: Record<string, object> = {
  RS256: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
  PS384: { name: "RSA-PSS", hash: "SHA-384" },
  ES256: { name: "ECDSA", namedCurve: "P-256" },
  EdDSA: { name: "Ed25519" },
};
const cryptoKeyOf = (algorithm: Asymmetric) =>
  subtle.importKey("jwk", jwkOf(algorithm) as never, SUBTLE[algorithm] as never, true, ["verify"]);

const forms: [string, JwtAlgorithm, () => JwtKey | Promise<JwtKey>][] = [
  ...asymmetric.flatMap((algorithm): typeof forms => [
    ["a KeyObject", algorithm, () => pairs[algorithm].publicKey],
    ["a JWK", algorithm, () => jwkOf(algorithm) as JwtKey],
    [
      "a JWK with all it may say",
      algorithm,
      () => jwkOf(algorithm, { alg: algorithm, use: "sig", key_ops: ["verify"], kid: "1" }) as JwtKey,
    ],
    ["PEM text", algorithm, () => pemOf(algorithm)],
  ]),
  ["PEM of PKCS 1", "RS256", () => pairs.RS256.publicKey.export({ format: "pem", type: "pkcs1" }) as string],
  ...(Object.keys(SUBTLE) as Asymmetric[]).map((algorithm): (typeof forms)[number] => [
    "a CryptoKey",
    algorithm,
    () => cryptoKeyOf(algorithm),
  ]),
  ...secretive.flatMap((algorithm): typeof forms => [
    ["bytes", algorithm, () => new Uint8Array(SECRET)],
    ["a Buffer", algorithm, () => SECRET],
    ["a KeyObject", algorithm, () => createSecretKey(SECRET)],
    ["a JWK", algorithm, () => ({ kty: "oct", k: SECRET.toString("base64url") })],
    [
      "a CryptoKey",
      algorithm,
      () =>
        subtle.importKey("raw", SECRET, { name: "HMAC", hash: `SHA-${algorithm.slice(2)}` }, false, [
          "verify",
        ]),
    ],
  ]),
];

it.each(forms)("%s is a key for %s", async (_form, algorithm, make) => {
  const scheme = jwt({ ...base, algorithms: [algorithm], key: await make() });
  for (let i = 0; i < 2; i++) await send(scheme, good(algorithm)).expect(200); // imported, then known
  const changed = good(algorithm).replace(/.(?=[^.]{20}$)/, (one) => (one === "A" ? "B" : "A"));
  const res = await send(scheme, changed).expect(401);
  expect(res.headers["www-authenticate"]).toBe(INVALID);
});

it("one key may serve several algorithms", async () => {
  const scheme = jwt({ ...base, algorithms: ["RS256", "RS512", "PS256"], key: pairs.RS256.publicKey });
  for (const algorithm of ["RS256", "RS512", "PS256"] as const)
    await send(scheme, good(algorithm)).expect(200);
  await send(scheme, good("RS384")).expect(401);
});

/** Each algorithm with each key that does not fit it: refused at start-up. */
const wrongPairs = [...asymmetric, ...secretive].flatMap((algorithm) =>
  asymmetric
    .filter((other) => other.slice(0, 2) !== algorithm.slice(0, 2))
    .map((other) => [algorithm, other] as const),
);
it.each(
  wrongPairs,
)("%s is refused with the key of %s, unless they have the same type", (algorithm, other) => {
  const rule = (name: JwtAlgorithm) => [ALGORITHMS[name].kty, (ALGORITHMS[name] as { crv?: string }).crv];
  const make = () => jwt({ ...base, algorithms: [algorithm], key: pairs[other].publicKey });
  if (JSON.stringify(rule(algorithm)) === JSON.stringify(rule(other))) expect(make).not.toThrow();
  else expect(make).toThrow(/needs .+, and the key is/);
});

const small = generateKeyPairSync("rsa", { modulusLength: 1_024 }).publicKey;
const pss = generateKeyPairSync("rsa-pss", { modulusLength: 2_048 }).publicKey;

it.each<[string, JwtAlgorithm, () => unknown, RegExp]>([
  ["nothing", "ES256", () => undefined, /environment variable/],
  ["null", "ES256", () => null, /must be a KeyObject/],
  ["a number", "ES256", () => 5, /must be a KeyObject/],
  ["a function", "ES256", () => () => "key", /must be a KeyObject/],
  ["an empty list", "ES256", () => [], /a list of 1 to 10/],
  ["a password", "HS256", () => "s3cret-s3cret-s3cret-s3cret-s3cret", /Give a secret as bytes/],
  ["an empty text", "ES256", () => "", /not a public key's PEM/],
  ["no bytes", "HS256", () => Buffer.alloc(0), /at least 32 bytes .*has 0/],
  ["31 bytes", "HS256", () => SECRET.subarray(0, 31), /at least 32 bytes .*has 31/],
  ["47 bytes for HS384", "HS384", () => SECRET.subarray(0, 47), /at least 48 bytes/],
  ["63 bytes for HS512", "HS512", () => SECRET.subarray(0, 63), /at least 64 bytes/],
  ["a short JWK", "HS256", () => ({ kty: "oct", k: "c2VjcmV0" }), /has 6/],
  ["a short KeyObject", "HS256", () => createSecretKey(SECRET.subarray(0, 16)), /has 16/],
  ["a public PEM as a secret", "HS256", () => pemOf("RS256"), /needs a secret, and the key is an RSA key/],
  ["two PEMs in one text", "ES256", () => `${pemOf("ES256")}${pemOf("ES384")}`, /several PEMs/],
  ["bytes that are no more", "HS256", () => detached(), /cannot be read|at least 32 bytes/],
  [
    "a JWK that throws",
    "ES256",
    () => Object.defineProperty({}, "kty", { enumerable: true, get: () => fail() }),
    /cannot be read/,
  ],
  ["a JWK whose use is a number", "ES256", () => jwkOf("ES256", { use: 5n as never }), /its use is 5/],
  ["RSA with the exponent 1", "RS256", () => ({ ...jwkOf("RS256"), e: "AQ" }), /odd public exponent/],
  ["RSA with an even exponent", "RS256", () => ({ ...jwkOf("RS256"), e: "BA" }), /odd public exponent/],
  [
    "RSA with an exponent as long as it is",
    "RS256",
    () => ({ ...jwkOf("RS256"), e: jwkOf("RS256").n }),
    /odd public exponent/,
  ],
  [
    "RSA of 16,384 bits",
    "RS256",
    () => ({ ...jwkOf("RS256"), n: Buffer.alloc(2_048, 255).toString("base64url") }),
    /at most 8192 bits/,
  ],
  ["a private KeyObject", "ES256", () => pairs.ES256.privateKey, /private key/],
  [
    "a private PEM",
    "ES256",
    () => pairs.ES256.privateKey.export({ format: "pem", type: "pkcs8" }),
    /private key/,
  ],
  ["a private JWK", "ES256", () => pairs.ES256.privateKey.export({ format: "jwk" }), /private key/],
  [
    "a broken PEM",
    "ES256",
    () => "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
    /cannot be read as a public key/,
  ],
  ["RSA of 1024 bits", "RS256", () => small, /at least 2048 bits .*has 1024/],
  ["the same as a JWK", "PS256", () => small.export({ format: "jwk" }), /has 1024/],
  ["a key for RSA-PSS alone", "PS256", () => pss, /not supported: rsa-pss/],
  ["X25519", "EdDSA", () => generateKeyPairSync("x25519").publicKey, /not supported: x25519/],
  ["Ed448", "EdDSA", () => generateKeyPairSync("ed448").publicKey, /not supported: ed448/],
  [
    "secp256k1",
    "ES256",
    () => generateKeyPairSync("ec", { namedCurve: "secp256k1" }).publicKey,
    /on secp256k1/,
  ],
  ["a JWK for encryption", "ES256", () => jwkOf("ES256", { use: "enc" }), /its use is enc/],
  ["a JWK for signing", "ES256", () => jwkOf("ES256", { key_ops: ["sign"] }), /key_ops/],
  ["a JWK of another algorithm", "RS256", () => jwkOf("RS256", { alg: "RS512" }), /made for: RS512/],
  [
    "a JWK of an unknown algorithm",
    "RS256",
    () => jwkOf("RS256", { alg: "RSA-OAEP" }),
    /an algorithm that is not supported/,
  ],
  ["a JWK of no type", "RS256", () => ({ n: "x", e: "AQAB" }), /no JSON Web Key/],
  ["a JWK of an unknown type", "RS256", () => ({ kty: "AKP" }), /not supported/],
  ["half a JWK", "ES256", () => ({ kty: "EC", crv: "P-256", x: jwkOf("ES256").x }), /not all members/],
  [
    "a point that is not on the curve",
    "ES256",
    () => jwkOf("ES256", { y: jwkOf("ES256").x }),
    /cannot be read as a JSON Web Key/,
  ],
  ["a key set", "ES256", () => ({ keys: [jwkOf("ES256")] }), /is a key set: give the list/],
])("%s is no key (%s)", (_form, algorithm, make, reason) => {
  const key = make() as JwtKey;
  expect(() => jwt({ ...base, algorithms: [algorithm], key })).toThrow(reason);
});

it.each<[string, JwtAlgorithm, object, RegExp]>([
  [
    "another hash",
    "RS256",
    { name: "RSASSA-PKCS1-v1_5", hash: "SHA-512" },
    /imported for: RSASSA-PKCS1-v1_5 with SHA-512/,
  ],
  ["another padding", "RS256", { name: "RSA-PSS", hash: "SHA-256" }, /imported for: RSA-PSS with SHA-256/],
  ["encryption", "RS256", { name: "RSA-OAEP", hash: "SHA-256" }, /not imported for "verify"/],
])("a CryptoKey that was imported for %s is none (%s)", async (_form, algorithm, params, reason) => {
  const usage = (params as { name: string }).name === "RSA-OAEP" ? "encrypt" : "verify";
  const key = await subtle.importKey("jwk", jwkOf("RS256") as never, params as never, true, [usage]);
  expect(() => jwt({ ...base, algorithms: [algorithm], key })).toThrow(reason);
});

/** A public key is refused as a secret in all its forms. */
const spki = () => pairs.RS256.publicKey.export({ format: "der", type: "spki" });
const bodies: [string, () => Buffer][] = [
  ["PEM", () => Buffer.from(pemOf("RS256"))],
  ["PEM without its end", () => Buffer.from(pemOf("RS256").trim())],
  ["DER", spki],
  ["base64", () => Buffer.from(spki().toString("base64"))],
  ["what stands in a PEM", () => Buffer.from(pemOf("ES256").replace(/-----.*-----/g, ""))],
];
it.each(
  bodies.flatMap(([name, make]) =>
    (["bytes", "a KeyObject", "a JWK", "a CryptoKey"] as const).map((form) => [name, form, make] as const),
  ),
)("the %s of a public key, as %s, is no secret", async (_name, form, make) => {
  const bytes = make();
  const hmac = { name: "HMAC", hash: "SHA-256" };
  const key: JwtKey = {
    bytes,
    "a KeyObject": createSecretKey(bytes),
    "a JWK": { kty: "oct", k: bytes.toString("base64url") },
    "a CryptoKey": await subtle.importKey("raw", bytes, hmac, false, ["verify"]),
  }[form];
  expect(() => jwt({ ...base, algorithms: ["HS256"], key })).toThrow(/anyone may know/);
});

it("EdDSA and Ed25519 keys are interchangeable", async () => {
  for (const [one, other] of [
    ["EdDSA", "Ed25519"],
    ["Ed25519", "EdDSA"],
  ] as const) {
    const key = jwkOf(one, { alg: other }) as JwtKey;
    await send(jwt({ ...base, algorithms: [one], key }), good(one)).expect(200);
  }
});

function detached(): Uint8Array {
  const bytes = new Uint8Array(64).fill(7);
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  return bytes;
}

function fail(): never {
  throw new Error("no");
}

it("messages contain nothing of a secret", () => {
  const key = createPublicKey(pairs.RS256.privateKey);
  for (const given of ["s3cret", Buffer.from("s3cret"), { kty: "oct", k: "czNjcmV0" }, key]) {
    try {
      jwt({ ...base, algorithms: ["HS256"], key: given as JwtKey });
      throw new Error("it was taken");
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigError);
      expect(`${(error as Error).message} ${JSON.stringify(error)}`).not.toMatch(/s3cret|czNjcmV0/);
    }
  }
});
