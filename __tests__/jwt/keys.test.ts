import { createPublicKey, createSecretKey, generateKeyPairSync, randomBytes, webcrypto } from "node:crypto";
import fc from "fast-check";
import { authenticate } from "../../src/index.js";
import { ALGORITHMS } from "../../src/jwt/algorithms.js";
import { type JwtAlgorithm, type JwtKey, type JwtOptions, jwt } from "../../src/jwt/index.js";
import { ConfigError } from "../../src/lib/config/config-error.js";
import { casesOf, oneIn } from "../support/soak.js";
import {
  type Asymmetric,
  base,
  claims,
  good,
  INVALID,
  jwkOf,
  pairs,
  pemOf,
  publicFixture,
  SECRET,
  send,
  token,
} from "./support.js";

describe("keys", () => {
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
    ...oneIn(
      3,
      asymmetric.flatMap((algorithm): typeof forms => [
        ["a KeyObject", algorithm, () => pairs[algorithm].publicKey],
        ["a JWK", algorithm, () => jwkOf(algorithm) as JwtKey],
        [
          "a JWK with all it may say",
          algorithm,
          () => jwkOf(algorithm, { alg: algorithm, use: "sig", key_ops: ["verify"], kid: "1" }) as JwtKey,
        ],
        ["PEM text", algorithm, () => pemOf(algorithm)],
      ]),
    ),
    [
      "PEM of PKCS 1",
      "RS256",
      () => pairs.RS256.publicKey.export({ format: "pem", type: "pkcs1" }) as string,
    ],
    ...(Object.keys(SUBTLE) as Asymmetric[]).map((algorithm): (typeof forms)[number] => [
      "a CryptoKey",
      algorithm,
      () => cryptoKeyOf(algorithm),
    ]),
    ...oneIn(
      2,
      secretive.flatMap((algorithm): typeof forms => [
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
    ),
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

  const small = publicFixture("rsa-1024");
  const pss = publicFixture("rsa-pss");

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
});

describe("rotation", () => {
  const ec = () => generateKeyPairSync("ec", { namedCurve: "P-256" });
  const older = ec();
  const newer = ec();
  const signedWith = (key: typeof older, kid?: string) =>
    token({ alg: "ES256", ...(kid !== undefined && { kid }) }, claims(), key.privateKey);
  const jwkWith = (key: typeof older, kid: string) => ({ ...key.publicKey.export({ format: "jwk" }), kid });
  const withKeys = (key: JwtOptions["key"], algorithms: JwtAlgorithm[] = ["ES256"]) =>
    jwt({ ...base, algorithms, key });
  const reasonsOf = (make: () => unknown): [string, string][] => {
    try {
      make();
    } catch (error) {
      const { problems } = error as { problems: { option: string; reason: string }[] };
      return problems.map(({ option, reason }) => [option, reason]);
    }
    return [];
  };

  describe("a list of keys", () => {
    it.each<[string, () => JwtOptions["key"]]>([
      ["KeyObjects", () => [newer.publicKey, older.publicKey]],
      ["JSON Web Keys with ids", () => [jwkWith(newer, "2"), jwkWith(older, "1")]],
      ["one with an id and one without", () => [jwkWith(newer, "2"), older.publicKey]],
    ])("takes the tokens of each of them, with an id and without (%s)", async (_name, key) => {
      const scheme = withKeys(key());
      for (const [pair, kid] of [
        [older, "1"],
        [newer, "2"],
      ] as const) {
        await send(scheme, signedWith(pair, kid)).expect(200);
        await send(scheme, signedWith(pair)).expect(200);
        await send(scheme, signedWith(pair, "an id of nobody's")).expect(200);
      }
      const res = await send(scheme, signedWith(ec(), "1")).expect(401);
      expect(res.headers["www-authenticate"]).toBe(INVALID);
    });

    it("a token with the id of one key is not accepted with the signature of another", async () => {
      const scheme = withKeys([jwkWith(newer, "2"), jwkWith(older, "1")]);
      await send(scheme, signedWith(older, "2")).expect(401);
      await send(scheme, signedWith(newer, "1")).expect(401);
    });

    it.each([
      "__proto__",
      "constructor",
      "toString",
      "x".repeat(5_000),
    ])("an id such as %.12s names none of them", async (kid) => {
      await send(withKeys([jwkWith(newer, "2"), jwkWith(older, "1")]), signedWith(older, kid)).expect(200);
    });

    it("two keys with the same id are both tried", async () => {
      const scheme = withKeys([jwkWith(newer, "1"), jwkWith(older, "1")]);
      await send(scheme, signedWith(older, "1")).expect(200);
      await send(scheme, signedWith(newer, "1")).expect(200);
    });

    it("works for secrets", async () => {
      const next = randomBytes(32);
      const scheme = withKeys([next, SECRET], ["HS256"]);
      await send(scheme, good("HS256")).expect(200);
      await send(scheme, token({ alg: "HS256" }, claims(), next)).expect(200);
      await send(scheme, token({ alg: "HS256" }, claims(), randomBytes(32))).expect(401);
    });

    it("a key checks only algorithms of its own type", async () => {
      const scheme = withKeys([pairs.RS256.publicKey, pairs.ES256.publicKey], ["RS256", "ES256"]);
      await send(scheme, good("RS256")).expect(200);
      await send(scheme, good("ES256")).expect(200);
      const forged = token({ alg: "RS256" }, claims(), pairs.ES256.privateKey, "ES256");
      await send(scheme, forged).expect(401);
      await send(scheme, token({ alg: "ES256" }, claims(), pairs.RS256.privateKey, "RS256")).expect(401);
    });

    it("is copied", async () => {
      const key = [older.publicKey];
      const scheme = withKeys(key);
      key.push(newer.publicKey);
      await send(scheme, signedWith(newer)).expect(401);
      await send(scheme, signedWith(older)).expect(200);
    });

    /** For all lists of keys and algorithms, and all headers: a token passes only with its own key. */
    it("no token passes with the algorithm of another key, for all lists (fast-check)", async () => {
      const names = ["RS256", "PS256", "ES256", "ES384", "EdDSA"] as const;
      await fc.assert(
        fc.asyncProperty(
          fc.uniqueArray(fc.constantFrom(...names), { minLength: 1, maxLength: 5 }),
          fc.constantFrom(...names),
          fc.constantFrom(...names, "HS256", "none", "NONE", "rs256", ""),
          fc.option(fc.constantFrom("1", "2", "a", ""), { nil: undefined }),
          async (algorithms, signer, alg, kid) => {
            const key = [...new Set(algorithms.map((name) => pairs[name].publicKey))].map((one, i) => ({
              ...one.export({ format: "jwk" }),
              ...(i < 2 && { kid: String(i + 1) }),
            }));
            const scheme = jwt({ ...base, algorithms, key });
            const secret = Buffer.from(pemOf("RS256"));
            const text =
              alg === "HS256"
                ? token({ alg, kid }, claims(), secret, "HS256")
                : token({ alg, kid }, claims(), pairs[signer].privateKey, signer);
            const { kind } = await scheme.check({
              headers: { authorization: `Bearer ${text}` },
              rawHeaders: ["Authorization", ""],
            } as never);
            // A token that has the id of another key is refused.
            if (kind === "passed") expect([alg, algorithms.includes(signer)]).toEqual([signer, true]);
            else if (kid !== "1" && kid !== "2")
              expect([alg, algorithms.includes(signer)]).not.toEqual([signer, true]);
          },
        ),
        { numRuns: casesOf(300) },
      );
    });
  });

  it.each<[string, unknown, JwtAlgorithm[], [string, RegExp]]>([
    ["an empty list", [], ["ES256"], ["key", /a list of 1 to 10/]],
    ["eleven", Array.from({ length: 11 }, () => ec().publicKey), ["ES256"], ["key", /a list of 1 to 10/]],
    ["an undefined one", [older.publicKey, undefined], ["ES256"], ["key[1]", /environment variable/]],
    ["one twice", [older.publicKey, older.publicKey], ["ES256"], ["key[1]", /same key as key\[0\]/]],
    [
      "one twice, in two forms",
      [
        newer.publicKey,
        older.publicKey,
        jwkWith(older, "1"),
        newer.publicKey.export({ format: "pem", type: "spki" }),
      ],
      ["ES256"],
      ["key[2]", /same key as key\[1\]/],
    ],
    ["a secret twice", [SECRET, Buffer.from(SECRET)], ["HS256"], ["key[1]", /same key as key\[0\]/]],
    [
      "a secret beside a public key",
      [SECRET, older.publicKey],
      ["ES256"],
      ["key", /mixes secrets with public/],
    ],
    [
      "a public key's bytes beside a secret",
      [SECRET, Buffer.from(pemOf("RS256"))],
      ["HS256"],
      ["key", /mixes secrets/],
    ],
    ["a private key", [older.publicKey, newer.privateKey], ["ES256"], ["key[1]", /private key/]],
    [
      "one that no algorithm fits",
      [older.publicKey, pairs.RS256.publicKey],
      ["ES256"],
      ["key[1]", /none of the algo/],
    ],
    [
      "an algorithm without a key",
      [older.publicKey, newer.publicKey],
      ["ES256", "RS256"],
      ["key", /no key for RS256/],
    ],
    ["a list in a list", [[older.publicKey]], ["ES256"], ["key[0]", /must be a KeyObject/]],
  ])("%s is refused", (_name, key, algorithms, [option, reason]) => {
    const [first] = reasonsOf(() => jwt({ ...base, algorithms, key: key as JwtOptions["key"] }));
    expect(first).toEqual([option, expect.stringMatching(reason)]);
  });

  /** Keys as they come from environment variables, files or secret managers. */
  const pem = () => pemOf("ES256");
  it.each<[string, () => JwtKey]>([
    ["a PEM with literal \\n", () => pem().replaceAll("\n", "\\n")],
    ["a PEM with literal \\r\\n", () => pem().replaceAll("\n", "\\r\\n")],
    ["a PEM with CRLF", () => pem().replaceAll("\n", "\r\n")],
    ["a PEM in quotes, with literal \\n", () => `"${pem().replaceAll("\n", "\\n")}"`],
    ["a PEM in single quotes", () => `'${pem()}'\n`],
    ["a PEM on one line, with spaces", () => pem().trim().replaceAll("\n", " ")],
    ["a PEM with a text before it", () => `# of the login service\n${pem()}`],
    ["a file with a PEM (Buffer)", () => Buffer.from(pem())],
    ["a file with a PEM (Uint8Array)", () => new Uint8Array(Buffer.from(pem()))],
    ["a file with literal \\n", () => Buffer.from(pem().replaceAll("\n", "\\n"))],
    ["a file with a DER", () => pairs.ES256.publicKey.export({ format: "der", type: "spki" })],
    ["a JSON Web Key as text", () => JSON.stringify(jwkOf("ES256"))],
    [
      "a JSON Web Key as text, over lines",
      () => `\n${JSON.stringify(jwkOf("ES256", { kid: "1" }), null, 2)}\n`,
    ],
    ["a file with a JSON Web Key", () => Buffer.from(JSON.stringify(jwkOf("ES256")))],
  ])("%s is a key", async (_form, make) => {
    const scheme = jwt({ ...base, algorithms: ["ES256"], key: make() });
    await send(scheme, good("ES256")).expect(200);
    await send(scheme, good("RS256")).expect(401);
  });

  it("a JSON Web Key as text can be a secret", async () => {
    const key = JSON.stringify({ kty: "oct", k: SECRET.toString("base64url") });
    await send(jwt({ ...base, algorithms: ["HS256"], key }), good("HS256")).expect(200);
  });

  it.each<[string, () => JwtKey, JwtAlgorithm, RegExp]>([
    ["a private PEM with literal \\n", () => privatePem().replaceAll("\n", "\\n"), "ES256", /private key/],
    ["a file with a private PEM", () => Buffer.from(privatePem()), "ES256", /private key/],
    ["a private JSON Web Key as text", () => JSON.stringify(privateJwk()), "ES256", /private key/],
    [
      "a file with a private JSON Web Key",
      () => Buffer.from(JSON.stringify(privateJwk())),
      "ES256",
      /private key/,
    ],
    [
      "two PEMs with literal \\n",
      () => (pem() + pemOf("RS256")).replaceAll("\n", "\\n"),
      "ES256",
      /a list of keys/,
    ],
    [
      "a key set as text",
      () => JSON.stringify({ keys: [jwkOf("ES256")] }),
      "ES256",
      /is a key set: give the list/,
    ],
    ["JSON that is no key", () => '{"a":1}', "ES256", /no JSON Web Key/],
    ["half of a JSON", () => '{"kty":"EC",', "ES256", /not a public key's PEM/],
    ["a file with a PEM, as a secret", () => Buffer.from(pem()), "HS256", /anyone may know/],
    [
      "a PEM with literal \\n, as a secret",
      () => Buffer.from(pem().replaceAll("\n", "\\n")),
      "HS256",
      /anyone may know/,
    ],
    [
      "a file with a JSON Web Key, as a secret",
      () => Buffer.from(JSON.stringify(jwkOf("RS256"))),
      "HS256",
      /anyone may know/,
    ],
    [
      "PKCS #1 bytes, as a secret",
      () => pairs.RS256.publicKey.export({ format: "der", type: "pkcs1" }),
      "HS256",
      /anyone may know/,
    ],
  ])("%s is none", (_form, make, algorithm, reason) => {
    expect(() => jwt({ ...base, algorithms: [algorithm], key: make() })).toThrow(reason);
  });

  it("a list and a key set cannot be combined", () => {
    const both = {
      ...base,
      algorithms: ["ES256"] as const,
      key: [older.publicKey],
      jwks: "https://issuer.example/k",
    };
    expect(reasonsOf(() => authenticate(jwt(both)))).toEqual([
      ["jwks", expect.stringMatching(/cannot be combined/)],
    ]);
  });

  function privatePem(): string {
    return pairs.ES256.privateKey.export({ format: "pem", type: "pkcs8" }) as string;
  }

  function privateJwk(): object {
    return pairs.ES256.privateKey.export({ format: "jwk" });
  }
});
