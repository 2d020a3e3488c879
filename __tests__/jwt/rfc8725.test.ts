import { sign as derSign, generateKeyPairSync, type KeyObject } from "node:crypto";
import type { JwtAlgorithm, JwtOptions } from "../../src/jwt/index.js";
import { jwt } from "../../src/jwt/index.js";
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
    ...["none", "None", "nOnE", "NONE", "", "es256", null, 5, ["ES256"], undefined].flatMap((alg): Row[] => [
      [`alg ${JSON.stringify(alg)} without a signature`, () => unsigned(alg)],
      [`alg ${JSON.stringify(alg)} with some signature`, () => unsigned(alg, "AAAA")],
      [`alg ${JSON.stringify(alg)}, signed well`, () => token({ alg }, claims(), keyFor("ES256"), "ES256")],
    ]),
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
    ...[0, 1, 2].flatMap((part) =>
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
    ...[undefined, null, "", ISSUER.slice(0, -1), `${ISSUER}x`, ISSUER.toUpperCase(), [ISSUER], 5, {}].map(
      (iss): Row => [`iss ${JSON.stringify(iss)}`, () => good("ES256", { iss })],
    ),
    ...[undefined, null, "", [], `${AUDIENCE}2`, AUDIENCE.slice(0, -1), [[AUDIENCE]], { 0: AUDIENCE }, 5].map(
      (aud): Row => [`aud ${JSON.stringify(aud)}`, () => good("ES256", { aud })],
    ),
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
    ...["exp", "nbf", "iat"].flatMap((name) =>
      [`"${now() + 60}"`, "null", "[]", `[${now() + 60}]`, "{}", "true", "1e999"].map(
        (value): Row => [
          `${name} ${value}`,
          () => {
            const text = JSON.stringify(claims({ [name]: undefined })).replace("{", `{"${name}":${value},`);
            return token({ alg: "ES256" }, text, keyFor("ES256"), "ES256");
          },
        ],
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
