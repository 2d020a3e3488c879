import { AsyncLocalStorage } from "node:async_hooks";
import { generateKeyPairSync } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { gzipSync } from "node:zlib";
import express from "express";
import request from "supertest";
import { authenticate, currentContext, recover, requestContext } from "../../src/index.js";
import { type JwtOptions, jwt } from "../../src/jwt/index.js";
import { closeServers, listen, REFUSING, type TestServer } from "../support/server.js";
import {
  type Asymmetric,
  appWith,
  base,
  claims,
  good,
  INVALID,
  jwkOf,
  pairs,
  publicFixture,
  silent,
  token,
} from "./support.js";

type Answer = (req: IncomingMessage, res: ServerResponse) => void;

let issuers = 0;

/** The server of an issuer, whose answer can be changed while it runs. */
async function issuer(first: Answer, url?: string) {
  const asked: string[] = [];
  let answer = first;
  const server: TestServer = await listen((req, res) => {
    asked.push(req.url!.replace(/^\/\d+/, ""));
    answer(req, res);
  });
  // Key sets are shared by URL, and a port may be assigned twice.
  const jwks = `${url ?? server.url}/${++issuers}/jwks.json`;
  const app = appWith(authenticate(jwt({ ...base, algorithms: ["ES256", "RS256"], jwks })));
  return {
    jwks,
    asked,
    answers: (next: Answer) => {
      answer = next;
    },
    /** Sends a token to the app. */
    send: (bearer = signed("1")) => request(app).get("/").set("Authorization", `Bearer ${bearer}`),
    app,
  };
}

const signed = (kid?: string, algorithm: Asymmetric = "ES256") =>
  good(algorithm, {}, kid === undefined ? {} : { kid });
const set = (...keys: unknown[]): Answer => text(JSON.stringify({ keys }));
const text =
  (body: string | Buffer, headers: Record<string, string> = {}, status = 200): Answer =>
  (_req, res) => {
    res.writeHead(status, headers).end(body);
  };
const one = jwkOf("ES256", { kid: "1" });
const two = generateKeyPairSync("ec", { namedCurve: "P-256" });
const twoJwk = { ...two.publicKey.export({ format: "jwk" }), kid: "2" };
const signedByTwo = token({ alg: "ES256", kid: "2" }, claims({ exp: 2e9 }), two.privateKey);
const small = publicFixture("rsa-1024").export({ format: "jwk" });

let clock = 0;
let said: string[] = [];
beforeEach(() => {
  const { now } = performance;
  clock = 0;
  jest.spyOn(performance, "now").mockImplementation(() => now.call(performance) + clock);
  said = [];
  jest.spyOn(process.stderr, "write").mockImplementation((line) => said.push(String(line)) > 0);
});
afterEach(async () => {
  jest.restoreAllMocks();
  await closeServers();
});
const later = (seconds: number) => {
  clock += seconds * 1_000;
};

describe("answers of the issuer when its keys are first needed", () => {
  const bomb = gzipSync(Buffer.alloc(50_000_000, " "));
  const redirect =
    (status: number): Answer =>
    (req, res) => {
      if (req.url === "/moved") set(one)(req, res);
      else res.writeHead(status, { location: "/moved" }).end();
    };
  const endless: Answer = (_req, res) => {
    const more = () => {
      while (!res.destroyed && res.write(" ".repeat(65_536)));
      if (!res.destroyed) res.once("drain", more);
    };
    more();
  };

  it.each<[string, Answer, number, string?]>([
    // No key set: 503.
    ["a failure", text("", {}, 500), 503],
    ["that it is not there", text(JSON.stringify({ keys: [one] }), {}, 404), 503],
    ["nothing", text("", {}, 204), 503],
    ["a part of it", text(JSON.stringify({ keys: [one] }), {}, 206), 503],
    ["301", redirect(301), 503],
    ["302", redirect(302), 503],
    ["307", redirect(307), 503],
    ["a page", text("<!doctype html><title>Log in</title>", { "content-type": "text/html" }), 503],
    ["half of it", text('{"keys":[{"kty"'), 503],
    ["no text", text(Buffer.from([0xff, 0xfe, 0x00])), 503],
    ["null", text("null"), 503],
    ["a list", text(JSON.stringify([one])), 503],
    ["an object of keys", text(JSON.stringify({ keys: { 1: one } })), 503],
    ["one key, and no set", text(JSON.stringify(one)), 503],
    ["no keys", set(), 503],
    ["keys for encryption only", set(jwkOf("ES256", { kid: "1", use: "enc" })), 503],
    ["keys that sign only", set(jwkOf("ES256", { kid: "1", key_ops: ["sign"] })), 503],
    ["a private key", set({ ...pairs.ES256.privateKey.export({ format: "jwk" }), kid: "1" }), 503],
    ["a secret", set({ kty: "oct", k: "AAAA".repeat(20), kid: "1" }), 503],
    ["rubbish", set(null, 5, "key", [], {}, { kty: 5 }, { kty: "EC", kid: "1" }), 503],
    ["more than a megabyte", text(JSON.stringify({ keys: [one], x: "x".repeat(1_048_576) })), 503],
    ["without end", endless, 503],
    ["little that becomes much", text(bomb, { "content-encoding": "gzip" }), 503],
    [
      "less than it said",
      (_req, res) => void res.writeHead(200, { "content-length": 500 }).write("{", () => res.destroy()),
      503,
    ],
    ["nothing, and hangs up", (req) => void req.socket.destroy(), 503],
    ["no HTTP", (req) => void req.socket.end("hello\r\n\r\n"), 503],
    // Keys, but none that fits the token: 401.
    ["another key", set(twoJwk), 401],
    ["a key of another algorithm", set(jwkOf("ES384", { kid: "1" })), 401],
    ["a key that says it is for another", set(jwkOf("ES256", { kid: "1", alg: "ES384" })), 401],
    ["a key of another curve under that name", set({ ...one, crv: "P-384" }), 401],
    ["a point that is not on the curve", set({ ...one, y: one.x }), 401],
    ["a small RSA key", set({ ...small, kid: "1" }), 401, signed("1", "RS256")],
    ["two keys, for a token without an id", set(one, twoJwk), 401, signed()],
    ["five keys of one id", set({ ...twoJwk, kid: "1" }, ...Array(4).fill(one)), 401],
    ["a kid that is no text", set({ ...one, kid: 1 }), 503],
    ["another key under that id", set({ ...twoJwk, kid: "1" }), 401],
    // The right key: 200.
    ["a key", set(one), 200],
    ["with another type", text(JSON.stringify({ keys: [one] }), { "content-type": "text/plain" }), 200],
    ["in gzip", text(gzipSync(JSON.stringify({ keys: [one] })), { "content-encoding": "gzip" }), 200],
    ["with a byte order mark", text(`\ufeff${JSON.stringify({ keys: [one] })}`), 200],
    [
      "among rubbish",
      set(
        null,
        { kty: "oct", k: "AAAA", kid: "1" },
        { kty: "EC", kid: "1" },
        one,
        jwkOf("RS256", { kid: "1", use: "enc" }),
      ),
      200,
    ],
    ["twice, and once wrong", set({ ...twoJwk, kid: "1" }, one), 200],
    ["beside a broken one", set({ ...one, y: one.x }, one), 200],
    ["without an id, for a token without one", set(jwkOf("ES256")), 200, signed()],
    ["with one, for a token without", set(one, jwkOf("ES384", { kid: "2" })), 200, signed()],
    ["with a strange id", set({ ...one, kid: "__proto__" }), 200, signed("__proto__")],
    [
      "with all it may say",
      set({ ...one, use: "sig", alg: "ES256", key_ops: ["verify"], ext: false, x5c: [5] }),
      200,
    ],
  ])("%s", async (_name, answer, status, bearer = signed("1")) => {
    const { send, asked } = await issuer(answer);
    const res = await send(bearer).expect(status);
    expect(asked).toEqual(["/jwks.json"]); // once, and nowhere else
    expect(res.headers["retry-after"]).toEqual(status === 503 ? expect.stringMatching(/^[1-5]$/) : undefined);
    expect(res.headers["www-authenticate"]).toBe(status === 401 ? INVALID : undefined);
  });

  it("in production the answer does not name the issuer", async () => {
    const { NODE_ENV } = process.env;
    process.env.NODE_ENV = "production";
    try {
      const { send } = await issuer(text("", {}, 500));
      expect((await send().expect(503)).text).not.toMatch(/jwks|127\.0\.0\.1|500/);
    } finally {
      process.env.NODE_ENV = NODE_ENV;
    }
  });

  it("nobody listens", async () => {
    const { send } = await issuer(set(one), REFUSING);
    const res = await send().expect(503);
    expect(res.headers).toMatchObject({
      "retry-after": "5",
      "content-type": expect.stringContaining("problem+json"),
    });
  });

  it.each<[string, Answer]>([
    ["does not answer", () => {}],
    ["stops half-way", (_req, res) => void res.write('{"keys":[')],
  ])("it %s: after 5 seconds it is given up", async (_name, answer) => {
    const { timeout } = AbortSignal;
    const asked = jest.spyOn(AbortSignal, "timeout").mockImplementation(() => timeout.call(AbortSignal, 50));
    const { send } = await issuer(answer);
    await send().expect(503);
    expect(asked).toHaveBeenCalledWith(5_000);
  });
});

it("no message contains the URL's query or the body", async () => {
  const { jwks } = await issuer(text("SECRETBODY"));
  const errors: string[] = [];
  const logger = { ...silent, error: (fields: object) => void errors.push(JSON.stringify(fields)) };
  const scheme = jwt({ ...base, algorithms: ["ES256"], jwks: `${jwks}?code=s3cret` });
  const app = express().use(authenticate(scheme)).use(recover({ logger }));
  const res = await request(app)
    .get("/")
    .set("Authorization", `Bearer ${signed("1")}`)
    .expect(503);
  expect(errors).toHaveLength(1);
  expect(`${errors[0]} ${res.text}`).toMatch(/jwks\.json cannot be fetched: the body is not JSON/);
  expect(`${errors[0]} ${res.text}`).not.toMatch(/s3cret|SECRETBODY/);
});

it("the fetch does not run in the context of the request that caused it", async () => {
  const tenant = new AsyncLocalStorage<string>();
  const seen: unknown[] = [];
  const { fetch } = globalThis;
  jest.spyOn(globalThis, "fetch").mockImplementation((...args) => {
    seen.push(tenant.getStore(), currentContext());
    return fetch(...args);
  });
  const { jwks } = await issuer(set(one));
  const scheme = jwt({ ...base, algorithms: ["ES256"], jwks });
  const app = appWith(
    (_req, _res, next) => tenant.run("first", next),
    requestContext(),
    authenticate(scheme),
  );
  await request(app)
    .get("/")
    .set("Authorization", `Bearer ${signed("1")}`)
    .expect(200);
  expect(seen).toEqual([undefined, undefined]);
});

describe("how often the key set is fetched", () => {
  it("once for 100 requests at the same time", async () => {
    const waiting: ServerResponse[] = [];
    const { app, asked } = await issuer((_req, res) => void waiting.push(res));
    const server = await listen(app);
    const headers = { authorization: `Bearer ${signed("1")}` };
    const answers = Array.from({ length: 100 }, () => fetch(server.url, { headers }));
    while (waiting.length === 0) await new Promise(setImmediate);
    set(one)(undefined as never, waiting[0]!);
    expect(new Set((await Promise.all(answers)).map(({ status }) => status))).toEqual(new Set([200]));
    expect(asked).toHaveLength(1);
  });

  it("once for all schemes with one URL, even if a scheme is made for each request", async () => {
    const { jwks, asked } = await issuer(set(one));
    const options: JwtOptions = { ...base, algorithms: ["ES256"], jwks };
    const app = appWith((req, res, next) => authenticate(jwt({ ...options }))(req, res, next));
    for (let i = 0; i < 5; i++)
      await request(app)
        .get("/")
        .set("Authorization", `Bearer ${signed("1")}`)
        .expect(200);
    expect(asked).toHaveLength(1);
  });

  it("once in 5 seconds while it fails, and then used as soon as it succeeds", async () => {
    const { send, asked, answers } = await issuer(text("", {}, 500));
    for (let i = 0; i < 5; i++) await send().expect(503);
    expect(asked).toHaveLength(1);
    later(3);
    expect((await send().expect(503)).headers["retry-after"]).toBe("2");
    later(2.1);
    await send().expect(503);
    expect(asked).toHaveLength(2);
    answers(set(one));
    await send().expect(503); // it is not known yet
    later(5.1);
    await send().expect(200);
    expect(asked).toHaveLength(3);
  });

  it("not for unknown key ids within 30 seconds, and valid tokens are not affected", async () => {
    const { send, asked } = await issuer(set(one));
    await send().expect(200);
    for (let i = 0; i < 10; i++) await send(signed(`unknown ${i}`)).expect(401);
    expect(asked).toHaveLength(1);
    later(31);
    await Promise.all(Array.from({ length: 10 }, (_, i) => send(signed(`more ${i}`)).expect(401)));
    await send().expect(200);
    expect(asked).toHaveLength(2);
  });

  it("at once for an unknown key id after 30 seconds", async () => {
    const { send, asked, answers } = await issuer(set(one));
    await send().expect(200);
    answers(set(one, twoJwk));
    await send(signedByTwo).expect(401);
    later(31);
    await send(signedByTwo).expect(200);
    await send().expect(200);
    expect(asked).toHaveLength(2);
  });

  it("never for a token that is refused anyway", async () => {
    const { send, asked } = await issuer(set(one));
    await send(good("ES256", { exp: 5 }, { kid: "1" })).expect(401);
    await send(good("ES384", {}, { kid: "1" })).expect(401);
    await send(good("ES256", { iss: "x" }, { kid: "1" })).expect(401);
    await send("opaque").expect(401);
    expect(asked).toEqual([]);
  });
});

describe("as time goes by", () => {
  it("a set is used for 10 minutes; the next one is fetched a minute before, and no request waits", async () => {
    const { send, asked, answers } = await issuer(set(one));
    await send().expect(200);
    later(8 * 60);
    await send().expect(200);
    expect(asked).toHaveLength(1);
    const waiting: ServerResponse[] = [];
    answers((_req, res) => void waiting.push(res));
    later(70);
    await send().expect(200); // with the old one
    while (waiting.length === 0) await new Promise(setImmediate);
    await send().expect(200);
    expect(asked).toHaveLength(2);
    set(one)(undefined as never, waiting[0]!);
  });

  it("after 10 minutes a removed key is no longer accepted", async () => {
    const { send, answers } = await issuer(set(one, twoJwk));
    await send(signedByTwo).expect(200);
    answers(set(one));
    later(601);
    await send(signedByTwo).expect(401);
    await send().expect(200);
  });

  it("while the issuer is down, known keys are used for one more hour, with one warning and one wait", async () => {
    const { send, asked, answers } = await issuer(set(one));
    await send().expect(200);
    answers(text("", {}, 500));
    later(601);
    await send().expect(200);
    expect([asked.length, said.length]).toEqual([2, 1]);
    expect(said[0]).toMatch(/key set cannot be fetched.*the answer was 500/);
    answers(() => {}); // it does not even answer
    later(3_500);
    for (let i = 0; i < 3; i++) await send().expect(200);
    later(90);
    expect((await send(signed("1")).expect(200)).body.scheme).toBe("jwt");
    expect([asked.length, said.length]).toEqual([3, 1]);
  });

  it("after that hour, the answer is 503", async () => {
    const { send, answers } = await issuer(set(one));
    await send().expect(200);
    answers(text("", {}, 500));
    later(600 + 3_600 + 1);
    await send().expect(503);
    answers(set(one));
    later(6);
    await send().expect(200);
  });

  it("while the issuer is down, an unknown key id is 503, not 401", async () => {
    const { send, answers, asked } = await issuer(set(one));
    await send().expect(200);
    answers(text("", {}, 500));
    later(31);
    await send(signedByTwo).expect(503);
    await send(signedByTwo).expect(503);
    await send().expect(200);
    expect(asked).toHaveLength(2);
    answers(set(one, twoJwk));
    later(6);
    await send(signedByTwo).expect(200);
  });

  it("an old failure does not prolong the use of a key set", async () => {
    const { send, answers, asked } = await issuer(set(one, twoJwk));
    await send(signedByTwo).expect(200);
    answers(text("", {}, 500));
    later(31);
    await send(signed("unknown")).expect(503); // anybody can make it ask
    answers(set(one));
    later(68 * 60);
    await send(signedByTwo).expect(401);
    expect(asked).toHaveLength(3);
  });

  it("the time that the machine slept counts", async () => {
    const { send, asked } = await issuer(set(one));
    await send().expect(200);
    const { now } = Date;
    jest.spyOn(Date, "now").mockImplementation(() => now() + 11 * 60_000); // the other clock stood still
    await send(good("ES256", { exp: 2e9 }, { kid: "1" })).expect(200);
    expect(asked).toHaveLength(2);
  });

  it("an empty set does not replace a good one", async () => {
    const { send, answers } = await issuer(set(one));
    await send().expect(200);
    answers(set());
    later(601);
    await send().expect(200);
  });
});
