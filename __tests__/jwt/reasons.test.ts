import { generateKeyPairSync } from "node:crypto";
import express from "express";
import request from "supertest";
import {
  type AuthReason,
  authenticate,
  bearer,
  recover,
  requestContext,
  requestLog,
} from "../../src/index.js";
import { jwt } from "../../src/jwt/index.js";
import { memoryLogger } from "../support/logger.js";
import { appWith, b64, base, claims, good, now, pairs, silent, token, withKey } from "./support.js";

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
  ["signed by another key", one, `Bearer ${token({ alg: "ES256" }, claims(), otherKey())}`, "bad-signature"],
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
