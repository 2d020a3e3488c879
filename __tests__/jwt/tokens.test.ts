import { generateKeyPairSync, type KeyObject } from "node:crypto";
import fc from "fast-check";
import { jwt, type Scheme } from "../../src/jwt/index.js";
import { casesOf, SOAK } from "../support/soak.js";
import { AUDIENCE, b64, base, ISSUER, jwkOf, now, pairs, pemOf, signature, withKey } from "./support.js";

/** A part of a token, and whether a token with it is valid. */
interface Part<T> {
  readonly value: T;
  readonly good: boolean;
}

/** Mostly valid parts, so that many tokens have only one fault. */
const part = <T>(good: readonly T[], bad: readonly T[]): fc.Arbitrary<Part<T>> =>
  fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom(...good).map((value) => ({ value, good: true })) },
    { weight: 1, arbitrary: fc.constantFrom(...bad).map((value) => ({ value, good: false })) },
  );

jest.setTimeout(300_000);

const TOKENS = SOAK ? 10_000 : 300;

const stranger = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
const { privateKey } = pairs.ES256;
const LATER = '"later"';
const PAST = '"past"';

/** JSON text; the two words are replaced by times when the token is made. */
const parts = fc.record({
  alg: part(['"ES256"'], ['"none"', '"HS256"', '"RS256"', '"ES384"', '"es256"', "null", '["ES256"]']),
  kid: part(
    ['"1"'],
    ['"2"', '"../../x"', '"\' or 1=1 --"', '"__proto__"', "1", "null", `"${"k".repeat(5_000)}"`],
  ),
  crit: part([undefined], ["[]", '["exp"]', '["b64"]', '"exp"']),
  otherHeader: part(
    [undefined, '"jku":"http://127.0.0.1:9"', '"typ":"JWT"', '"x5c":["AA"]', '"b64":false'],
    ['"alg":"none"', '"kid":"2"'],
  ),
  iss: part([JSON.stringify(ISSUER)], ['"x"', "null", undefined, `["${ISSUER}"]`, `"${ISSUER} "`]),
  aud: part([JSON.stringify(AUDIENCE), `["x","${AUDIENCE}"]`], ['"x"', "[]", undefined, `[["${AUDIENCE}"]]`]),
  exp: part([LATER, "1e30"], [PAST, undefined, '"1e30"', "null", "-1", "[9999999999]", "1e999"]),
  nbf: part([undefined, PAST, "0", "-1"], [LATER, "null", '"0"', "{}"]),
  iat: part([undefined, PAST], [LATER, "1e30", "[]", "true"]),
  otherClaim: part(
    [undefined, '"a":{"b":[{"c":1},{"c":1}]}', '"__proto__":{"exp":0}', `"x":"${"x".repeat(4_000)}"`],
    ['"sub":"eve"', '"a":{"b":1,"b":1}', '"s\\u0075b":"eve"'],
  ),
  shape: part(["object"], ["list", "text", "cut", "latin1"]),
  signed: part(["right"], ["stranger", "hmac", "empty", "cut", "longer", "flipped", "other data", "missing"]),
});
type Parts = typeof parts extends fc.Arbitrary<infer T> ? T : never;

function make(drawn: Parts): string {
  const time = (text: string | undefined) =>
    text === LATER ? String(now() + 600) : text === PAST ? String(now() - 600) : text;
  const member = (name: string, text: string | undefined) =>
    text === undefined ? [] : [`"${name}":${time(text)}`];
  const { alg, kid, crit, otherHeader, otherClaim, shape, signed } = drawn;
  const other = (text: string | undefined) => (text === undefined ? [] : [text]);
  const header = [
    ...member("alg", alg.value),
    ...member("kid", kid.value),
    ...member("crit", crit.value),
    ...other(otherHeader.value),
  ];
  const claims = [
    '"sub":"ann"',
    ...(["iss", "aud", "exp", "nbf", "iat"] as const).flatMap((name) => member(name, drawn[name].value)),
    ...other(otherClaim.value),
  ].join();
  const payload = {
    object: `{${claims}}`,
    list: `[{${claims}}]`,
    text: '"x"',
    cut: `{${claims}`,
    latin1: `{${claims},"n":"\u00fc"}`,
  }[shape.value]!;
  const data = `${b64(`{${header.join()}}`)}.${Buffer.from(payload, shape.value === "latin1" ? "latin1" : "utf8").toString("base64url")}`;
  return `${data}${endOf(signed.value, data)}`;
}

function endOf(how: string, data: string): string {
  const by = (key: KeyObject | Buffer, algorithm = "ES256", text = data) => signature(algorithm, text, key);
  const bytes: Record<string, () => Buffer> = {
    right: () => by(privateKey),
    stranger: () => by(stranger),
    hmac: () => by(Buffer.from(pemOf("ES256")), "HS256"),
    empty: () => Buffer.alloc(0),
    cut: () => by(privateKey).subarray(0, 63),
    longer: () => Buffer.concat([by(privateKey), Buffer.alloc(1)]),
    flipped: () => by(privateKey).map((byte, i) => (i === 40 ? byte ^ 1 : byte)) as Buffer,
    "other data": () => by(privateKey, "ES256", `${data}x`),
  };
  return how === "missing" ? "" : `.${Buffer.from(bytes[how]!()).toString("base64url")}`;
}

const set = {
  keys: [jwkOf("ES256", { kid: "1" }), jwkOf("ES384", { kid: "2" }), { kty: "oct", kid: "2", k: "AAAA" }],
};
const ofKey = withKey("ES256");
let ofSet!: Scheme;

beforeAll(() => {
  jest.spyOn(globalThis, "fetch").mockImplementation(async () => new Response(JSON.stringify(set)));
  ofSet = jwt({ ...base, algorithms: ["ES256"], jwks: "https://issuer.example/property.json" });
});
afterAll(() => jest.restoreAllMocks());

const check = (scheme: Scheme, text: string) =>
  scheme.check({ headers: { authorization: `Bearer ${text}` }, rawHeaders: ["Authorization", ""] } as never);

it(`of ${TOKENS} tokens, exactly the valid ones are accepted`, async () => {
  const counts = { accepted: 0, refused: 0 };
  await fc.assert(
    fc.asyncProperty(parts, async (drawn) => {
      const text = make(drawn);
      // The option key, with one key, ignores kid, but kid must still be a string.
      const isFineWithoutId = (name: string) => name === "kid" && /^"/.test(drawn.kid.value);
      const bad = Object.entries(drawn)
        .filter(([, { good }]) => !good)
        .map(([name]) => name);
      for (const [scheme, faults] of [
        [ofSet, bad],
        [ofKey, bad.filter((name) => !isFineWithoutId(name))],
      ] as const) {
        const { kind } = await check(scheme, text);
        expect([kind === "passed", faults]).toEqual([faults.length === 0, faults]);
        counts[kind === "passed" ? "accepted" : "refused"]++;
      }
    }),
    { numRuns: TOKENS },
  );
  // Both groups must have members, or nothing was tested.
  expect(counts.accepted).toBeGreaterThan(0.4 * TOKENS);
  expect(counts.refused).toBeGreaterThan(0.4 * TOKENS);
});

it("a valid token with any character changed, removed or added is not accepted", async () => {
  const text = goodToken();
  expect((await check(ofKey, text)).kind).toBe("passed");
  const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
  const change = fc.record({
    at: fc.nat(text.length),
    how: fc.constantFrom("change", "leave out", "put in"),
    digit: fc.constantFrom(...digits),
  });
  await fc.assert(
    fc.asyncProperty(change, async ({ at, how, digit }) => {
      const changed =
        text.slice(0, at) + (how === "leave out" ? "" : digit) + text.slice(how === "put in" ? at : at + 1);
      if (changed === text) return;
      const { kind } = await check(ofKey, changed);
      expect(["foreign", "failed"]).toContain(kind);
    }),
    { numRuns: casesOf(3_000) },
  );
});

function goodToken(): string {
  const header = b64({ alg: "ES256", kid: "12" }); // whose length lets a digit be put behind it
  const data = `${header}.${b64({ iss: ISSUER, aud: AUDIENCE, exp: now() + 600 })}`;
  return `${data}${endOf("right", data)}`;
}

it("no text makes the check throw", async () => {
  const piece = fc.oneof(
    fc.string(),
    fc.base64String(),
    fc.constantFrom(".", "..", "eyJ", b64({ alg: "ES256" }), b64({ iss: ISSUER })),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 6 }), async (pieces) => {
      for (const text of [pieces.join(""), pieces.join(".")]) {
        const told = await check(ofKey, text);
        expect(["foreign", "failed"]).toContain(told.kind);
      }
    }),
    { numRuns: casesOf(2_000) },
  );
});
