import { generateKeyPairSync } from "node:crypto";
import Cookies from "cookies";
import express, { type Request } from "express";
import request from "supertest";
import {
  type AuthReason,
  apiKey,
  authenticate,
  bearer,
  recover,
  requestContext,
  requestLog,
  requireScopes,
} from "../../src/index.js";
import { type JwtOptions, jwt } from "../../src/jwt/index.js";
import { memoryLogger } from "../support/logger.js";
import { appWith, b64, base, claims, good, INVALID, now, pairs, silent, token, withKey } from "./support.js";

describe("sources of tokens", () => {
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
      expect(bad.headers["www-authenticate"]).toBe(
        'JWT realm="api", Token realm="api", error="invalid_token"',
      );
    });

    it("a token that a scheme leaves to others is left to schemes with its prefix", async () => {
      const one = appWith(
        authenticate([withKey("ES256", { prefix: "JWT" }), bearer({ verify: () => true })], {
          optional: true,
        }),
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
});

describe("reasons", () => {
  const one = withKey("ES256");
  const strict = withKey("ES256", { typ: "at+jwt", claims: { client_id: "web" } });
  const rs = jwt({
    issuer: "https://other.example",
    audience: "x",
    algorithms: ["RS256"],
    key: pairs.RS256.publicKey,
  });
  const opaque = bearer({ verify: (text) => text === "opaque" });
  const [header, payload, signature] = good("ES256").split(".") as [string, string, string];
  const at = { typ: "at+jwt" };

  /** Each row: a request, and the reason in the log. The client gets only 400 or 401. */
  const CASES: [string, Parameters<typeof authenticate>[0], string | undefined, AuthReason][] = [
    ["no credentials", one, undefined, "missing"],
    ["another scheme", one, "Basic YTpi", "missing"],
    ["no token at all", one, "Bearer", "malformed"],
    ["two words", one, "Bearer a b", "malformed"],
    ["an opaque token", one, "Bearer opaque-token", "malformed"],
    ["two parts", one, `Bearer ${header}.${payload}`, "malformed"],
    ["claims that are no JSON", one, `Bearer ${header}.${b64("{")}.${signature}`, "malformed"],
    [
      "a claim twice",
      one,
      `Bearer ${header}.${b64(JSON.stringify(claims()).replace("{", '{"iat":1,'))}.${signature}`,
      "malformed",
    ],
    ["an id that is no text", one, `Bearer ${good("ES256", {}, { kid: 5 })}`, "malformed"],
    ["an exp that is no number", one, `Bearer ${good("ES256", { exp: "tomorrow" })}`, "malformed"],
    ["an nbf that is no number", one, `Bearer ${good("ES256", { nbf: "now" })}`, "malformed"],
    ["no exp", one, `Bearer ${good("ES256", { exp: undefined })}`, "rejected"],
    ["expired", one, `Bearer ${good("ES256", { exp: now() - 60 })}`, "expired"],
    ["not valid yet", one, `Bearer ${good("ES256", { nbf: now() + 60 })}`, "not-yet-valid"],
    ["issued in the future", one, `Bearer ${good("ES256", { iat: now() + 60 })}`, "not-yet-valid"],
    [
      "signed by another key",
      one,
      `Bearer ${token({ alg: "ES256" }, claims(), otherKey())}`,
      "bad-signature",
    ],
    [
      "changed since",
      one,
      `Bearer ${header}.${b64({ ...claims(), sub: "root" })}.${signature}`,
      "bad-signature",
    ],
    ["alg none", one, `Bearer ${b64({ alg: "none" })}.${payload}.${signature}`, "bad-signature"],
    ["another algorithm", one, `Bearer ${good("ES384")}`, "bad-signature"],
    ["another issuer", one, `Bearer ${good("ES256", { iss: "https://evil.example" })}`, "wrong-issuer"],
    ["no issuer", one, `Bearer ${good("ES256", { iss: undefined })}`, "wrong-issuer"],
    ["another audience", one, `Bearer ${good("ES256", { aud: "b" })}`, "wrong-audience"],
    ["no audience", one, `Bearer ${good("ES256", { aud: undefined })}`, "wrong-audience"],
    ["a critical extension", one, `Bearer ${good("ES256", {}, { crit: ["b64"], b64: false })}`, "rejected"],
    ["another typ", strict, `Bearer ${good("ES256", { client_id: "web" })}`, "rejected"],
    ["another claim", strict, `Bearer ${good("ES256", { client_id: "app" }, at)}`, "rejected"],
    ["the algorithm of the second, of several", [one, rs], `Bearer ${good("RS256")}`, "bad-signature"],
    ["nobody's issuer, of several", [rs, one], `Bearer ${good("ES256", { iss: "x" })}`, "wrong-issuer"],
    ["the second's, expired", [rs, one], `Bearer ${good("ES256", { exp: 1 })}`, "expired"],
    ["what the bearer behind does not know", [one, opaque], "Bearer another", "rejected"],
  ];

  function otherKey() {
    return generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  }

  it.each(CASES)("%s", async (_what, schemes, authorization, reason) => {
    const logger = memoryLogger();
    const onReject = jest.fn();
    const app = express();
    app.use(requestLog({ logger }), authenticate(schemes, { onReject }));
    const sent = request(app).get("/");
    if (authorization !== undefined) sent.set("Authorization", authorization);
    const res = await sent;
    expect([400, 401]).toContain(res.status);
    expect(logger.entries[0]!.fields.refused).toEqual({ by: "auth", reason });
    expect(onReject.mock.calls).toEqual([[reason, expect.objectContaining({ url: "/", method: "GET" })]]);
    // The answer has only the codes of RFC 6750, not the reason.
    const written = JSON.stringify([res.headers, res.text]);
    const told = new Set([...written.matchAll(/error=\\?"(\w+)/g)].map(([, code]) => code));
    expect([...told].every((code) => code === "invalid_token" || code === "invalid_request")).toBe(true);
    expect(written).not.toMatch(/expired|signature|issuer|audience|not-yet|reject/i);
  });

  describe("onReject", () => {
    const expired = `Bearer ${good("ES256", { exp: 1 })}`;

    it("is not called for requests that pass, for allowed anonymous requests, or for errors", async () => {
      const onReject = jest.fn();
      const optional = appWith(authenticate(one, { optional: true, onReject }));
      await request(optional)
        .get("/")
        .set("Authorization", `Bearer ${good("ES256")}`)
        .expect(200);
      await request(optional).get("/").expect(200);
      const failing = bearer({ verify: () => Promise.reject(new Error("no")) });
      await request(appWith(authenticate(failing, { onReject })))
        .get("/")
        .set("Authorization", "Bearer x")
        .expect(500);
      expect(onReject).not.toHaveBeenCalled();
      await request(optional).get("/").set("Authorization", expired).expect(401);
      expect(onReject.mock.calls.map(([reason]) => reason)).toEqual(["expired"]);
    });

    it.each<[string, () => unknown]>([
      ["throws", () => throwIt(new Error("the metrics are down"))],
      ["throws nothing", () => throwIt(undefined)],
      ["rejects", () => Promise.reject(new Error("the metrics are down"))],
      ["never ends", () => new Promise(() => {})],
      [
        "has a then that throws",
        () => ({
          // biome-ignore lint/suspicious/noThenProperty: it is what must be borne
          get then() {
            return throwIt(new Error("no"));
          },
        }),
      ],
    ])("that %s changes no answer, and is reported once at most", async (_what, onReject) => {
      const lines: string[] = [];
      const write = jest
        .spyOn(process.stderr, "write")
        .mockImplementation(((line: string) => lines.push(line)) as never);
      try {
        const logger = memoryLogger();
        const app = express();
        app.use(requestContext({ check: false }), requestLog({ logger }), authenticate(one, { onReject }));
        app.use(recover({ logger: silent }));
        for (let i = 0; i < 3; i++) {
          const res = await request(app).get("/").set("Authorization", expired).expect(401);
          expect(res.body).toMatchObject({ status: 401 });
        }
        expect(logger.entries.map(({ fields }) => fields.status)).toEqual([401, 401, 401]);
        const told = lines.filter((line) => line.includes("onReject"));
        expect(told.length).toBe(_what === "never ends" ? 0 : 1);
      } finally {
        write.mockRestore();
      }
    });

    it("is called after the answer and cannot change it", async () => {
      const seen: unknown[] = [];
      const app = express();
      app.use(
        authenticate(one, {
          onReject(reason, req) {
            seen.push([reason, req.res?.headersSent]);
            if (!req.res?.headersSent) req.res?.status(200);
            return true;
          },
        }),
      );
      await request(app).get("/").set("Authorization", expired).expect(401);
      expect(seen).toEqual([["expired", true]]);
    });

    it("must be a function", () => {
      expect(() => authenticate(one, { onReject: "log" as never })).toThrow(
        /must be a function \(reason, req\)/,
      );
    });
  });

  it("the base token of these tests passes", async () => {
    const both = [jwt({ ...base, algorithms: ["ES256"], key: pairs.ES256.publicKey }), rs];
    await request(appWith(authenticate(both)))
      .get("/")
      .set("Authorization", `Bearer ${good("ES256")}`)
      .expect(200);
    await request(appWith(authenticate(strict)))
      .get("/")
      .set("Authorization", `Bearer ${good("ES256", { client_id: "web" }, at)}`)
      .expect(200);
  });

  function throwIt(value: unknown): never {
    throw value;
  }
});
