import Cookies from "cookies";
import express, { type Request } from "express";
import request from "supertest";
import { apiKey, authenticate, bearer, recover, requestLog, requireScopes } from "../../src/index.js";
import { type JwtOptions, jwt } from "../../src/jwt/index.js";
import { memoryLogger } from "../support/logger.js";
import { appWith, base, good, INVALID, pairs, silent, withKey } from "./support.js";

/** A cookie parser as people write it by hand: quotes stay. */
const fromCookie = (req: Request) => /(?:^|; )token=([^;]*)/.exec(req.headers.cookie ?? "")?.[1];
const scheme = withKey("ES256", { token: fromCookie });
const app = appWith(authenticate(scheme));
const get = (cookie?: string, authorization?: string, on = app) => {
  const sent = request(on).get("/");
  if (cookie !== undefined) sent.set("Cookie", cookie);
  if (authorization !== undefined) sent.set("Authorization", authorization);
  return sent;
};

describe("a token in a cookie", () => {
  it.each<[string, string]>([
    ["as it is", `token=${good("ES256")}`],
    ["in quotes (RFC 6265, section 4.1.1)", `token="${good("ES256")}"`],
    ["among others", `a=b; token=${good("ES256")}; c=d`],
  ])("is read (%s)", async (_how, cookie) => {
    const res = await get(cookie).expect(200);
    expect(res.body).toMatchObject({ scheme: "jwt", principal: { sub: "ann" } });
  });

  it.each<[string, string]>([
    ["with a quote at one end", `token="${good("ES256")}`],
    ["in quotes twice", `token=""${good("ES256")}""`],
    ["percent-encoded", `token=${good("ES256").replaceAll(".", "%2E")}`],
    ["that is no token", "token=deleted"],
    ["with Bearer before it", `token=Bearer ${good("ES256")}`],
    ["of another key", `token=${good("RS256")}`],
    ["that has expired", `token=${good("ES256", { exp: 1 })}`],
  ])("is refused: %s", async (_how, cookie) => {
    const res = await get(cookie).expect(401);
    expect(res.headers["www-authenticate"]).toBe(INVALID);
    expect(res.headers["cache-control"]).toBe("no-store");
    expect(res.headers.vary).toMatch(/Cookie/);
  });

  it.each([undefined, "token=", "other=1", 'token=""'])("%s counts as no credentials", async (cookie) => {
    const res = await get(cookie).expect(401);
    expect(res.headers["www-authenticate"]).toBe('Bearer realm="api"');
    await get(cookie, undefined, appWith(authenticate(scheme, { optional: true }))).expect(
      200,
      '"anonymous"',
    );
  });

  it("may be read by a package that removes the quotes", async () => {
    const token = (req: Request) => new Cookies(req, req.res!).get("token");
    const one = appWith(authenticate(withKey("ES256", { token })));
    await get(`token="${good("ES256")}"`, undefined, one).expect(200);
    await get("token=deleted", undefined, one).expect(401);
    await get("other=1", undefined, one).expect(401);
  });

  it("the Authorization header is not read", async () => {
    await get(undefined, `Bearer ${good("ES256")}`).expect(401);
    await get(`token=${good("ES256")}`, "Bearer no token at all").expect(200);
    await get(`token=${good("ES256", { exp: 1 })}`, `Bearer ${good("ES256")}`).expect(401);
  });

  it("a scheme for the Authorization header can follow it, also with the same issuer", async () => {
    const both = appWith(authenticate([scheme, withKey("ES256")]));
    await get(`token=${good("ES256")}`, undefined, both).expect(200);
    await get(undefined, `Bearer ${good("ES256")}`, both).expect(200);
    await get(`token=${good("ES256", { exp: 1 })}`, `Bearer ${good("ES256")}`, both).expect(401);
    await get(undefined, undefined, both).expect(401);
  });

  it("a valid key in another header does not help against a bad cookie", async () => {
    const two = appWith(authenticate([scheme, apiKey({ keys: ["k"] })]));
    await get("token=deleted", undefined, two).set("X-Api-Key", "k").expect(401);
    await get(undefined, undefined, two).set("X-Api-Key", "k").expect(200);
  });
});

describe("the option token", () => {
  it.each<[string, unknown]>([
    ["a number", 5],
    ["true", true],
    ["an object", { token: "x" }],
    ["a list, as of ?token=a&token=b", ["a", "b"]],
  ])("that returns %s is refused", async (_what, value) => {
    const one = withKey("ES256", { token: (() => value) as never });
    await get(undefined, undefined, appWith(authenticate(one, { optional: true }))).expect(401);
  });

  it("may return a promise", async () => {
    const one = withKey("ES256", { token: (async (req: Request) => fromCookie(req)) as never });
    await get(`token=${good("ES256")}`, undefined, appWith(authenticate(one))).expect(200);
    await get(undefined, undefined, appWith(authenticate(one))).expect(401);
  });

  it.each<[string, () => never]>([
    ["throws", () => throwIt(new Error("no"))],
    ["throws nothing", () => throwIt(undefined)],
    ["rejects", (() => Promise.reject("route")) as never],
  ])("that %s is an error for the error handler", async (_what, read) => {
    const one = withKey("ES256", { token: read });
    await get(undefined, undefined, appWith(authenticate(one, { optional: true }))).expect(500);
  });

  it("a second scheme with the same function and issuer would never be tried; with another function it is", () => {
    expect(() => authenticate([scheme, withKey("ES256", { token: fromCookie })])).toThrow(/never be tried/);
    expect(() =>
      authenticate([scheme, withKey("ES256", { token: (req) => req.get("x-token") })]),
    ).not.toThrow();
  });
});

describe("prefix", () => {
  it("is the scheme's name in the header and in the challenge", async () => {
    const one = appWith(
      authenticate([
        withKey("ES256", { prefix: "JWT" }),
        bearer({ prefix: "Token", verify: (t) => t === "x" }),
      ]),
    );
    await get(undefined, `JWT ${good("ES256")}`, one).expect(200);
    await get(undefined, `jwt ${good("ES256")}`, one).expect(200);
    await get(undefined, "token x", one).expect(200);
    const res = await get(undefined, `Bearer ${good("ES256")}`, one).expect(401);
    expect(res.headers["www-authenticate"]).toBe('JWT realm="api", Token realm="api"');
    const bad = await get(undefined, "Token y", one).expect(401);
    expect(bad.headers["www-authenticate"]).toBe('JWT realm="api", Token realm="api", error="invalid_token"');
  });

  it("a token that a scheme leaves to others is left to schemes with its prefix", async () => {
    const one = appWith(
      authenticate([withKey("ES256", { prefix: "JWT" }), bearer({ verify: () => true })], { optional: true }),
    );
    await get(undefined, "JWT opaque", one).expect(401);
    await get(undefined, "Bearer opaque", one).expect(200);
  });

  it("the challenge for missing scopes has the prefix", async () => {
    const options = { prefix: "JWT", resourceMetadata: "https://api.example/meta" };
    const one = express();
    one.use(authenticate(withKey("ES256", options)), requireScopes("a"), (_req, res) => void res.end());
    const res = await get(undefined, `JWT ${good("ES256")}`, one).expect(403);
    expect(res.headers["www-authenticate"]).toBe(
      'JWT error="insufficient_scope", scope="a", resource_metadata="https://api.example/meta"',
    );
  });
});

describe("claims", () => {
  const tokensOf = (claims: JwtOptions["claims"]): JwtOptions => ({
    ...base,
    audience: false,
    claims,
    algorithms: ["ES256"],
    key: pairs.ES256.publicKey,
  });
  const answer = (claims: JwtOptions["claims"], more: object) =>
    get(
      undefined,
      `Bearer ${good("ES256", { aud: undefined, ...more })}`,
      appWith(authenticate(jwt(tokensOf(claims)))),
    );

  it.each<[JwtOptions["claims"], object, number]>([
    [{ client_id: "web" }, { client_id: "web" }, 200],
    [{ client_id: "web" }, { client_id: "web", aud: "somebody else" }, 200],
    [{ client_id: ["web", "app"] }, { client_id: "app" }, 200],
    [{ email_verified: true, tier: 2 }, { email_verified: true, tier: 2 }, 200],
    [{ client_id: "web" }, {}, 401],
    [{ client_id: "web" }, { client_id: "Web" }, 401],
    [{ client_id: "web" }, { client_id: ["web"] }, 401],
    [{ client_id: "web" }, { client_id: null }, 401],
    [{ email_verified: true }, { email_verified: "true" }, 401],
    [{ email_verified: true, tier: 2 }, { email_verified: true }, 401],
    [{ tier: 2 }, { tier: "2" }, 401],
    [{ toString: "x", client_id: "web" }, { client_id: "web" }, 401],
  ])("%j, with %j is %i", async (claims, more, status) => {
    await answer(claims, more).expect(status);
  });

  it("are checked in addition to an audience", async () => {
    const one = appWith(authenticate(withKey("ES256", { claims: { token_use: "access" } })));
    await get(undefined, `Bearer ${good("ES256", { token_use: "access" })}`, one).expect(200);
    await get(undefined, `Bearer ${good("ES256", { token_use: "id" })}`, one).expect(401);
    await get(undefined, `Bearer ${good("ES256", { token_use: "access", aud: "x" })}`, one).expect(401);
  });

  it("are copied", async () => {
    const wanted = ["web"];
    const claims: Record<string, string[]> = { client_id: wanted };
    const one = appWith(authenticate(jwt(tokensOf(claims))));
    wanted.push("evil");
    claims.client_id = ["evil"];
    await get(undefined, `Bearer ${good("ES256", { client_id: "evil" })}`, one).expect(401);
    await get(undefined, `Bearer ${good("ES256", { client_id: "web" })}`, one).expect(200);
  });
});

describe("allowInsecure", () => {
  const warned = async (production: boolean, options: Partial<JwtOptions>[]) => {
    const lines: string[] = [];
    const write = jest
      .spyOn(process.stderr, "write")
      .mockImplementation(((line: string) => lines.push(line)) as never);
    const { NODE_ENV } = process.env;
    process.env.NODE_ENV = production ? "production" : "development";
    try {
      await jest.isolateModulesAsync(async () => {
        const fresh = (await import("../../src/jwt/index.js")).jwt;
        for (const more of options) fresh({ ...base, algorithms: ["ES256"], ...more } as JwtOptions);
      });
    } finally {
      process.env.NODE_ENV = NODE_ENV;
      write.mockRestore();
    }
    return lines.filter((line) => line.includes("allowInsecure"));
  };
  const jwks = "http://keycloak:8080/realms/a?code=s3cret";

  it("causes one warning in production, without the URL's query", async () => {
    const lines = await warned(true, [
      { jwks, allowInsecure: true },
      { jwks, allowInsecure: true },
      { jwks: () => jwks, allowInsecure: true },
    ]);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain("http://keycloak:8080/realms/a");
    expect(lines[0]).not.toContain("s3cret");
  });

  it("causes a warning for a function too, but not outside production or without http:", async () => {
    expect(await warned(true, [{ jwks: () => jwks, allowInsecure: true }])).toHaveLength(1);
    expect(await warned(false, [{ jwks, allowInsecure: true }])).toHaveLength(0);
    const safe = { allowInsecure: true, jwks: "https://issuer.example/k" };
    expect(await warned(true, [safe, { ...safe, jwks: "http://localhost:1/k" }])).toHaveLength(0);
  });
});

it("a refused cookie is in the log with its reason", async () => {
  const logger = memoryLogger();
  const one = express();
  one.use(requestLog({ logger }), authenticate(scheme), recover({ logger: silent }));
  await get(`token=${good("ES256", { exp: 1 })}`, undefined, one).expect(401);
  expect(logger.entries[0]!.fields.refused).toEqual({ by: "auth", reason: "expired" });
});

function throwIt(value: unknown): never {
  throw value;
}
