import { generateKeyPairSync, randomBytes } from "node:crypto";
import fc from "fast-check";
import { authenticate } from "../../src/index.js";
import { type JwtAlgorithm, type JwtKey, type JwtOptions, jwt } from "../../src/jwt/index.js";
import { base, claims, good, INVALID, jwkOf, pairs, pemOf, SECRET, send, token } from "./support.js";

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
      { numRuns: 150 },
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
