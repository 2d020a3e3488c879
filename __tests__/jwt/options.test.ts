import { authenticate, bearer } from "../../src/index.js";
import { type JwtOptions, jwt } from "../../src/jwt/index.js";
import type { ConfigError } from "../../src/lib/config/config-error.js";
import { base, good, pairs, send, withKey } from "./support.js";

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
