import { sign as derSign, generateKeyPairSync, type KeyObject } from "node:crypto";
import { authenticate, bearer } from "../../src/index.js";
import { type JwtAlgorithm, type JwtOptions, jwt } from "../../src/jwt/index.js";
import type { ConfigError } from "../../src/lib/config/config-error.js";
import { oneIn } from "../support/soak.js";
import {
  type Asymmetric,
  AUDIENCE,
  b64,
  base,
  claims,
  good,
  INVALID,
  ISSUER,
  jwkOf,
  keyFor,
  now,
  pairs,
  pemOf,
  SECRET,
  send,
  signature,
  token,
  withKey,
  withSecret,
} from "./support.js";

describe("options", () => {
  const key = pairs.ES256.publicKey;
  const full: JwtOptions = { ...base, algorithms: ["ES256"], key };
  const { key: _key, ...keyless } = full;
  const jwks = "https://issuer.example/jwks.json";

  it.each<[string, unknown, RegExp]>([
    ["options", undefined, /is missing/],
    ["options", "s3cret", /object of options/],
    ["issuer", { ...full, issuer: undefined }, /environment variable/],
    ["issuer", { ...full, issuer: "" }, /non-empty string/],
    ["issuer", { ...full, issuer: 5 }, /must be a non-empty string/],
    ["issuer", { ...full, issuer: [] }, /or a list of them/],
    ["issuer", { ...full, issuer: ["a", undefined] }, /environment variable/],
    ["audience", { ...full, audience: undefined }, /environment variable/],
    ["audience", { ...full, audience: [""] }, /non-empty string/],
    ["audience", { ...full, audience: /api/ }, /must be a non-empty string/],
    ["algorithms", { ...full, algorithms: undefined }, /environment variable/],
    ["algorithms", { ...full, algorithms: [] }, /must be a list/],
    ["algorithms", { ...full, algorithms: "ES256" }, /must be a list, such as \["ES256"\]/],
    ["algorithms[0]", { ...full, algorithms: ["none"] }, /let anyone in/],
    ["algorithms[1]", { ...full, algorithms: ["ES256", "NONE"] }, /let anyone in/],
    ["algorithms[1]", { ...full, algorithms: ["ES256", "es256"] }, /is not one of HS256, /],
    ["algorithms[0]", { ...full, algorithms: ["__proto__"] }, /is not one of/],
    ["algorithms[0]", { ...full, algorithms: new Array(1) }, /is not one of/],
    ["jwks", { ...keyless, jwks: "http://issuer.example/keys?code=s3cret" }, /must be an https: URL/],
    ["algorithms[0]", { ...full, algorithms: [5] }, /is not one of/],
    ["algorithms", { ...full, algorithms: ["HS256", "RS256"] }, /mixes secrets/],
    ["algorithms", { ...keyless, algorithms: ["HS256"], jwks }, /a key set is public/],
    ["key", { ...full, key: undefined }, /environment variable/],
    ["jwks", keyless, /give jwks or key/],
    ["jwks", { ...full, jwks }, /cannot be combined with key/],
    ["jwks", { ...keyless, jwks: undefined }, /environment variable/],
    ["jwks", { ...keyless, jwks: "/jwks.json" }, /must be the URL/],
    ["jwks", { ...keyless, jwks: 5 }, /must be the URL/],
    ["jwks", { ...keyless, jwks: { keys: [] } }, /must be the URL/],
    ["jwks", { ...keyless, jwks: "http://issuer.example/jwks.json" }, /must be an https: URL/],
    ["jwks", { ...keyless, jwks: "http://127.0.0.1.example/jwks.json" }, /must be an https: URL/],
    ["jwks", { ...keyless, jwks: "http://10.0.0.1/jwks.json" }, /must be an https: URL/],
    ["jwks", { ...keyless, jwks: "file:///etc/jwks.json" }, /must be an https: URL/],
    ["jwks", { ...keyless, jwks: "data:application/json,{}" }, /must be an https: URL/],
    ["jwks", { ...keyless, jwks: "https://user:s3cret@issuer.example/" }, /no user name and password/],
    ["clockTolerance", { ...full, clockTolerance: "5" }, /seconds from 0 to 300/],
    ["clockTolerance", { ...full, clockTolerance: -1 }, /seconds from 0 to 300/],
    ["clockTolerance", { ...full, clockTolerance: 5_000 }, /seconds from 0 to 300/],
    ["clockTolerance", { ...full, clockTolerance: Number.NaN }, /seconds from 0 to 300/],
    ["typ", { ...full, typ: 5 }, /must be a string/],
    ["typ", { ...full, typ: "" }, /such as "at\+jwt"/],
    ["algorithm", { ...full, algorithm: "ES256" }, /Did you mean "algorithms"/],
    ["realm", { ...full, realm: "x" }, /unknown option/],
    ["issuer", { ...full, issuer: [() => true] }, /must be a non-empty string/],
    ["issuer", { ...full, issuer: true }, /or a function \(iss\) => boolean/],
    ["audience", { ...full, audience: false }, /needs claims that identify the app/],
    ["audience", { ...full, audience: true }, /or false/],
    ["audience", { ...full, audience: () => true }, /must be a non-empty string/],
    ["claims", { ...full, audience: false, claims: undefined }, /environment variable/],
    ["claims", { ...full, claims: undefined }, /environment variable/],
    ["claims", { ...full, audience: false, claims: {} }, /at least one/],
    ["claims", { ...full, claims: ["client_id"] }, /object of claims/],
    [
      "claims.client_id",
      { ...full, audience: false, claims: { client_id: undefined } },
      /environment variable/,
    ],
    ["claims.client_id", { ...full, claims: { client_id: ["a", undefined] } }, /environment variable/],
    ["claims.client_id", { ...full, claims: { client_id: [] } }, /a list of them/],
    ["claims.client_id", { ...full, claims: { client_id: null } }, /must be a string/],
    ["claims.client_id", { ...full, claims: { client_id: /s3cret/ } }, /must be a string/],
    ["claims.aud", { ...full, claims: { aud: "x" } }, /option of its own/],
    ["claims.exp", { ...full, claims: { exp: 1 } }, /option of its own/],
    [
      "jwks",
      { ...keyless, jwks: "http://keycloak/k?code=s3cret", allowInsecure: false },
      /or with allowInsecure: true/,
    ],
    ["jwks", { ...keyless, jwks: "ftp://keycloak/k", allowInsecure: true }, /must be an https: URL/],
    ["jwks", { ...keyless, jwks: "data:application/json,{}", allowInsecure: true }, /must be an https: URL/],
    ["jwks", { ...keyless, jwks: "http://user:s3cret@keycloak/k", allowInsecure: true }, /no user name/],
    ["allowInsecure", { ...keyless, jwks, allowInsecure: "true" }, /must be true or false/],
    ["algorithms", { ...keyless, algorithms: ["HS256"], jwks: () => jwks }, /a key set is public/],
    ["token", { ...full, token: "cookie" }, /must be a function \(req\)/],
    ["prefix", { ...full, prefix: "a b" }, /the name of a scheme/],
    ["resourceMetadata", { ...full, resourceMetadata: "http://api.example/x" }, /must be an https: URL/],
  ])("%s is refused (%#)", (option, options, reason) => {
    const error = refused(() => jwt(options as JwtOptions));
    const problem = error.problems.find((one) => one.option === option) ?? error.problems[0]!;
    expect([problem.option, problem.reason]).toEqual([
      option === "options" && options === undefined ? "issuer" : option,
      expect.stringMatching(reason),
    ]);
    expect(`${error.message} ${JSON.stringify(error)}`).not.toContain("s3cret");
  });

  it.each<[string, object, string]>([
    ["none", { ...full, algorithms: ["none"] }, "ERR_PORTICO_UNSAFE_OPTION"],
    ["secrets and public keys", { ...full, algorithms: ["HS256", "RS256"] }, "ERR_PORTICO_UNSAFE_OPTION"],
    ["a private key", { ...full, key: pairs.ES256.privateKey }, "ERR_PORTICO_UNSAFE_OPTION"],
    ["http", { ...keyless, jwks: "http://issuer.example/k" }, "ERR_PORTICO_UNSAFE_OPTION"],
    ["no audience", { ...full, audience: false }, "ERR_PORTICO_UNSAFE_OPTION"],
    ["an unset variable", { ...full, key: undefined }, "ERR_PORTICO_UNDEFINED_OPTION"],
    ["a wrong type", { ...full, typ: 5 }, "ERR_PORTICO_INVALID_OPTION"],
    ["neither of two", keyless, "ERR_PORTICO_MISSING_OPTION"],
    ["both of two", { ...full, jwks }, "ERR_PORTICO_CONFLICTING_OPTIONS"],
    ["another package's name", { ...full, getToken: () => "x" }, "ERR_PORTICO_FOREIGN_OPTION"],
    ["a misspelt name", { ...full, isuer: "x" }, "ERR_PORTICO_UNKNOWN_OPTION"],
  ])("%s has its code", (_what, options, code) => {
    const { problems } = refused(() => jwt(options as JwtOptions));
    expect(problems.map((problem) => problem.code)).toEqual([code]);
  });

  it("all problems are reported together", () => {
    const { problems } = refused(() => jwt({ issuer: undefined, algorithms: ["none"], typ: 5 } as never));
    expect(problems.map(({ option }) => option)).toEqual([
      "issuer",
      "audience",
      "algorithms[0]",
      "jwks",
      "typ",
    ]);
  });

  it.each([
    jwks,
    new URL(jwks),
    "http://localhost:8080/k",
    "http://127.0.0.1/k",
    "http://[::1]:5/k",
    `${jwks}#x`,
  ])("a key set may be at %s", (url) => {
    expect(() => jwt({ ...keyless, jwks: url })).not.toThrow();
  });

  it("later changes of the options change nothing", async () => {
    const options = {
      ...full,
      issuer: [base.issuer],
      audience: [base.audience],
      algorithms: ["ES256" as const],
    };
    const scheme = jwt(options);
    options.issuer[0] = options.audience[0] = "other";
    options.algorithms.length = 0;
    await send(scheme, good("ES256")).expect(200);
  });

  it("schemes that would never be tried are refused", () => {
    const one = withKey("ES256");
    const other = withKey("ES256", { issuer: "other" });
    const opaque = bearer({ verify: () => true });
    expect(() => authenticate([one, other, opaque])).not.toThrow();
    expect(() => authenticate([opaque, one])).toThrow(/another bearer in Authorization stands before it/);
    expect(() => authenticate([withKey("ES256", { issuer: ["x", base.issuer] }), one])).toThrow(
      /another jwt of that issuer and those algorithms/,
    );
    // The second handles what the first leaves: another algorithm, or another issuer name.
    expect(() => authenticate([one, withKey("ES256", { issuer: ["x", base.issuer] })])).not.toThrow();
    expect(() => authenticate([one, withKey("ES384")])).not.toThrow();
  });

  it("a scheme is frozen", () => {
    const { knows } = withKey("ES256");
    expect(knows).toEqual([`ES256 of ${base.issuer}`]);
    expect(() => (knows as string[]).push("ES256 of evil")).toThrow(TypeError);
  });

  function refused(make: () => unknown): ConfigError {
    try {
      make();
    } catch (error) {
      return error as ConfigError;
    }
    throw new Error("it was taken");
  }
});

describe("RFC 8725", () => {
  const ES256 = withKey("ES256");
  const HS256 = withSecret();
  type Row = [name: string, sent: () => string, scheme?: ReturnType<typeof jwt>];

  const passes = (rows: readonly Row[]) =>
    it.each([...rows])("%s passes", async (_name, sent, scheme = ES256) => {
      await send(scheme, sent()).expect(200);
    });
  const refuses = (rows: readonly Row[]) =>
    it.each([...rows])("%s is refused", async (_name, sent, scheme = ES256) => {
      const res = await send(scheme, sent()).expect(401);
      expect(res.headers["www-authenticate"]).toBe(INVALID);
      expect(res.body.detail).toBe("Valid credentials are needed here.");
      expect(res.text).not.toContain(sent().slice(0, 20));
    });

  const unsigned = (alg: unknown, end = "") => `${b64({ alg })}.${b64(claims())}.${end}`;
  const stranger = generateKeyPairSync("ec", { namedCurve: "P-256" });

  describe("3.1 the algorithm is verified", () => {
    refuses([
      ...oneIn(
        4,
        ["none", "None", "nOnE", "NONE", "", "es256", null, 5, ["ES256"], undefined].flatMap((alg): Row[] => [
          [`alg ${JSON.stringify(alg)} without a signature`, () => unsigned(alg)],
          [`alg ${JSON.stringify(alg)} with some signature`, () => unsigned(alg, "AAAA")],
          [
            `alg ${JSON.stringify(alg)}, signed well`,
            () => token({ alg }, claims(), keyFor("ES256"), "ES256"),
          ],
        ]),
      ),
      ["an algorithm of the key's that is not allowed", () => good("RS512"), withKey("RS256")],
      ["the other padding", () => good("PS256"), withKey("RS256")],
      [
        "one that does not fit what it was signed with",
        () => token({ alg: "RS256" }, claims(), keyFor("PS256"), "PS256"),
        withKey("RS256"),
      ],
      [
        "a secret's, signed with the public key's PEM",
        () => token({ alg: "HS256" }, claims(), Buffer.from(pemOf("RS256"))),
        withKey("RS256"),
      ],
      [
        "the same, with the PEM as it is often written",
        () => token({ alg: "HS256" }, claims(), Buffer.from(pemOf("RS256").trim())),
        withKey("RS256"),
      ],
      [
        "a secret's, signed with the JWK's n",
        () => token({ alg: "HS256" }, claims(), Buffer.from(jwkOf("RS256").n!, "base64url")),
        withKey("RS256"),
      ],
      ["a public key's, for a secret", () => good("RS256"), HS256],
    ]);
    passes([["EdDSA by its new name", () => good("Ed25519"), withKey("Ed25519")]]);
  });

  describe("3.2 algorithms are appropriate", () => {
    it("none, broken hashes and password-based algorithms are not accepted", () => {
      for (const name of ["none", "HS1", "RS1", "ES256K", "PBES2-HS256+A128KW", "RSA1_5", "dir"]) {
        const options = { ...base, algorithms: [name as JwtAlgorithm], key: pairs.RS256.publicKey };
        expect(() => jwt(options)).toThrow(/let anyone in|is not one of/);
      }
    });
    it("algorithms must be given", () => {
      expect(() => jwt({ ...base, key: pairs.RS256.publicKey } as never)).toThrow(/algorithms: .*is missing/);
    });
  });

  describe("3.3 every cryptographic operation is validated", () => {
    const [head, body, sign] = good("ES256").split(".") as [string, string, string];
    const signedBy = (data: string) => signature("ES256", data, keyFor("ES256")).toString("base64url");
    refuses([
      ["no signature", () => `${head}.${body}.`],
      ["half a signature", () => `${head}.${body}.${sign.slice(0, 43)}`],
      ["a signature with a tail", () => `${head}.${body}.${sign}AAAA`],
      ["a signature of zeros", () => `${head}.${body}.${Buffer.alloc(64).toString("base64url")}`],
      [
        "a signature in DER",
        () => {
          const der = derSign("sha256", Buffer.from(`${head}.${body}`), keyFor("ES256") as KeyObject);
          return `${head}.${body}.${der.toString("base64url")}`;
        },
      ],
      ...oneIn(
        5,
        [0, 1, 2].flatMap((part) =>
          ["A", "AA", "-", "_w"].map(
            (more): Row => [
              `${more} behind part ${part + 1}`,
              () =>
                good("ES256")
                  .split(".")
                  .map((text, i) => (i === part ? text + more : text))
                  .join("."),
            ],
          ),
        ),
      ),
      [
        "the signature of another token",
        () => `${head}.${body}.${good("ES256", { sub: "eve" }).split(".")[2]}`,
      ],
      ["other claims under the same signature", () => `${head}.${b64(claims({ sub: "eve" }))}.${sign}`],
      ["another header under the same signature", () => `${b64({ alg: "ES256", kid: "x" })}.${body}.${sign}`],
      ["a token of somebody else", () => token({ alg: "ES256" }, claims(), stranger.privateKey)],
      ["an HMAC of another secret", () => token({ alg: "HS256" }, claims(), Buffer.alloc(64, 1)), HS256],
      [
        "a signature that is spelt in another way",
        () => {
          const text = good("HS256"); // 43 digits for 32 bytes: the last has two bits to spare
          const spare = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
          return text.slice(0, -1) + spare[spare.indexOf(text.at(-1)!) + 1];
        },
        HS256,
      ],
      [
        "claims that are signed, but are no text",
        () => {
          const data = `${head}.${Buffer.from([0xff, 0xfe]).toString("base64url")}`;
          return `${data}.${signedBy(data)}`;
        },
      ],
    ]);
  });

  describe("3.4 cryptographic inputs are validated", () => {
    it("a point that is not on its curve is refused", () => {
      const key = jwkOf("ES256", { y: jwkOf("ES256").x }) as never;
      expect(() => jwt({ ...base, algorithms: ["ES256"], key })).toThrow(/cannot be read/);
    });
  });

  describe("3.5 keys have sufficient entropy", () => {
    it("passwords and short secrets are refused", () => {
      const options: JwtOptions = { ...base, algorithms: ["HS256"] };
      expect(() => jwt({ ...options, key: "correct horse battery staple, and more of it" })).toThrow(
        /as bytes/,
      );
      expect(() => jwt({ ...options, key: Buffer.alloc(31, 7) })).toThrow(/at least 32 bytes/);
    });
  });

  describe("3.6 compressed tokens are not read", () => {
    refuses([
      ["an encrypted token", () => `${b64({ alg: "dir", enc: "A128GCM", zip: "DEF" })}..AAAA.AAAA.AAAA`],
      ["five parts", () => `${good("ES256")}.AAAA.AAAA`],
      ["a signed token that says zip, critically", () => good("ES256", {}, { zip: "DEF", crit: ["zip"] })],
    ]);
  });

  describe("3.7 tokens must be UTF-8 and unambiguous JSON", () => {
    const raw = (claimsText: string) => token({ alg: "ES256" }, claimsText, keyFor("ES256"), "ES256");
    const inner = JSON.stringify(claims()).slice(1, -1);
    passes([
      ["a name in other letters", () => good("ES256", { name: "B\u00fcro \u{1F600}" })],
      ["white space", () => raw(`\n{ ${inner} }\t`)],
      ["colons and quotes in texts", () => good("ES256", { a: ':":":"\\":', 'b"c:': [{}, [], "{}:"] })],
    ]);
    refuses([
      [
        "Latin-1",
        () => {
          const data = `${b64({ alg: "ES256" })}.${Buffer.from(`{${inner},"name":"B\u00fcro"}`, "latin1").toString("base64url")}`;
          return `${data}.${signature("ES256", data, keyFor("ES256")).toString("base64url")}`;
        },
      ],
      ["a byte order mark", () => raw(`\ufeff{${inner}}`)],
      ["a claim twice", () => raw(`{${inner},"sub":"eve"}`)],
      ["a claim twice, spelt in two ways", () => raw(`{${inner},"s\\u0075b":"eve"}`)],
      ["a claim twice, further in", () => raw(`{${inner},"a":[{"b":1,"b":2}]}`)],
      ["alg twice", () => token('{"alg":"ES256","alg":"ES256"}', claims(), keyFor("ES256"), "ES256")],
      ["a list", () => raw(`[{${inner}}]`)],
      ["null", () => raw("null")],
      ["a text", () => raw('"claims"')],
      ["nothing", () => raw("")],
      ["half of it", () => raw(`{${inner}`)],
      ["two of them", () => raw(`{${inner}}{}`)],
      ["a header that is a list", () => token([{ alg: "ES256" }], claims(), keyFor("ES256"), "ES256")],
    ]);
    it("`__proto__` does not pollute prototypes", async () => {
      const res = await send(
        ES256,
        raw(`{${inner},"__proto__":{"admin":true},"constructor":{"prototype":{"admin":true}}}`),
      ).expect(200);
      expect(({} as { admin?: boolean }).admin).toBeUndefined();
      expect(res.body.principal.admin).toBeUndefined();
    });
    it("deep nesting is limited by the length", async () => {
      const deep = 3_000;
      await send(ES256, raw(`{${inner},"a":${"[".repeat(deep)}${"]".repeat(deep)}}`)).expect(200);
    });
  });

  describe("3.8 the issuer, and 3.9 the audience, are the right ones", () => {
    passes([
      ["the audience in a list", () => good("ES256", { aud: ["x", AUDIENCE] })],
      ["one of several issuers", () => good("ES256", { iss: "b" }), withKey("ES256", { issuer: ["a", "b"] })],
      [
        "one of several audiences",
        () => good("ES256", { aud: "b" }),
        withKey("ES256", { audience: ["a", "b"] }),
      ],
    ]);
    refuses([
      ...oneIn(2, [
        undefined,
        null,
        "",
        ISSUER.slice(0, -1),
        `${ISSUER}x`,
        ISSUER.toUpperCase(),
        [ISSUER],
        5,
        {},
      ]).map((iss): Row => [`iss ${JSON.stringify(iss)}`, () => good("ES256", { iss })]),
      ...oneIn(2, [
        undefined,
        null,
        "",
        [],
        `${AUDIENCE}2`,
        AUDIENCE.slice(0, -1),
        [[AUDIENCE]],
        { 0: AUDIENCE },
        5,
      ]).map((aud): Row => [`aud ${JSON.stringify(aud)}`, () => good("ES256", { aud })]),
    ]);
  });

  describe("3.10 received claims are not trusted", () => {
    const jwk = stranger.publicKey.export({ format: "jwk" });
    it("URLs in the header are not fetched", async () => {
      const fetched = jest.spyOn(globalThis, "fetch");
      const url = "http://127.0.0.1:9/keys";
      const header = { alg: "ES256", jku: url, x5u: url, jwk, x5c: ["AAAA"], kid: url };
      await send(ES256, token(header, claims(), stranger.privateKey)).expect(401);
      await send(ES256, token(header, claims())).expect(200); // signed by the right key, whatever else it says
      expect(fetched).not.toHaveBeenCalled();
      fetched.mockRestore();
    });
    refuses([
      ["the key in its own header", () => token({ alg: "ES256", jwk }, claims(), stranger.privateKey)],
      ["a kid that is no text", () => good("ES256", {}, { kid: { toString: "x" } })],
      ["a kid that is null", () => good("ES256", {}, { kid: null })],
      ["a critical extension", () => good("ES256", {}, { crit: ["exp"], exp: 1 })],
      ["crit that is empty", () => good("ES256", {}, { crit: [] })],
      ["a payload that is not encoded", () => good("ES256", {}, { b64: false, crit: ["b64"] })],
    ]);
  });

  describe("3.11 a required type is checked, and 3.12 one kind of token is not accepted as another", () => {
    const access = withKey("ES256", { typ: "at+jwt" });
    passes(
      ["at+jwt", "AT+JWT", "application/at+jwt"].map(
        (typ): Row => [typ, () => good("ES256", {}, { typ }), access],
      ),
    );
    passes([["any, where none was asked for", () => good("ES256", {}, { typ: 5 })]]);
    passes([
      [
        "a long name asked for",
        () => good("ES256", {}, { typ: "at+jwt" }),
        withKey("ES256", { typ: "application/AT+jwt" }),
      ],
    ]);
    refuses([
      ["an ID token", () => good("ES256", {}, { typ: "JWT" }), access],
      ["none", () => good("ES256"), access],
      ["a number", () => good("ES256", {}, { typ: 5 }), access],
      ["another", () => good("ES256", {}, { typ: "application/x/at+jwt" }), access],
      ["a token for somebody else", () => good("ES256", { aud: "https://other.example" }), access],
    ]);
  });

  describe("times", () => {
    const strict = withKey("ES256", { clockTolerance: 0 });
    passes([
      ["expired two seconds ago, by default", () => good("ES256", { exp: now() - 2 })],
      ["a fraction", () => good("ES256", { exp: now() + 100.5 })],
      ["issued three seconds from now", () => good("ES256", { iat: now() + 3 })],
      ["valid from three seconds from now", () => good("ES256", { nbf: now() + 3 })],
      ["no iat and no nbf", () => good("ES256", { iat: undefined })],
      ["far away", () => good("ES256", { exp: 1e300 })],
      [
        "within a minute's tolerance",
        () => good("ES256", { exp: now() - 50, nbf: now() + 50 }),
        withKey("ES256", { clockTolerance: 60 }),
      ],
    ]);
    refuses([
      ["expired a minute ago", () => good("ES256", { exp: now() - 60 })],
      ["expired a second ago, with no tolerance", () => good("ES256", { exp: now() - 1 }), strict],
      ["issued in a minute", () => good("ES256", { iat: now() + 60 })],
      ["valid in a minute", () => good("ES256", { nbf: now() + 60 })],
      ["valid in two seconds, with no tolerance", () => good("ES256", { nbf: now() + 3 }), strict],
      ...oneIn(
        4,
        ["exp", "nbf", "iat"].flatMap((name) =>
          [`"${now() + 60}"`, "null", "[]", `[${now() + 60}]`, "{}", "true", "1e999"].map(
            (value): Row => [
              `${name} ${value}`,
              () => {
                const text = JSON.stringify(claims({ [name]: undefined })).replace(
                  "{",
                  `{"${name}":${value},`,
                );
                return token({ alg: "ES256" }, text, keyFor("ES256"), "ES256");
              },
            ],
          ),
        ),
      ),
      ["exp missing", () => good("ES256", { exp: undefined })],
      ["exp 0", () => good("ES256", { exp: 0 })],
      ["a negative exp", () => good("ES256", { exp: -1 })],
      ["exp in the prototype", () => good("ES256", { exp: undefined, ["__proto__"]: { exp: 1e300 } })],
    ]);
  });

  describe("form", () => {
    refuses([
      ["one part", () => "abc"],
      ["two parts", () => "abc.def"],
      ["an empty part", () => `${good("ES256").split(".")[0]}..AAAA`],
      ["base64 that is not for URLs", () => good("ES256").replace(/.$/, "+")],
      ["padding", () => `${good("ES256")}=`],
    ]);
    it("it is read from the Authorization header only", async () => {
      const res = await send(ES256, good("ES256")).query({ access_token: "x" }).expect(200);
      expect(res.body).toEqual({ scheme: "jwt", principal: expect.objectContaining({ sub: "ann" }) });
    });
    it("a token signed with a secret passes", () => send(HS256, good("HS256")).expect(200));
    it.each(Object.keys(pairs) as Asymmetric[])("%s", (algorithm) =>
      send(withKey(algorithm), good(algorithm)).expect(200));
    it("HS384 and HS512", async () => {
      for (const algorithm of ["HS384", "HS512"] as const) {
        await send(jwt({ ...base, algorithms: [algorithm], key: SECRET }), good(algorithm)).expect(200);
      }
    });
  });
});
