import { spawnSync } from "node:child_process";
import { createSecretKey } from "node:crypto";
import http from "node:http";
import express from "express";
import { expressjwt } from "express-jwt";
import request from "supertest";
import {
  apiKey,
  authenticate,
  authorize,
  basic,
  bearer,
  chain,
  cors,
  recover,
  requestLog,
  requireScopes,
} from "../../src/index.js";
import { jwt } from "../../src/jwt/index.js";
import { closeServers, listen, REFUSING } from "../support/server.js";
import {
  AUDIENCE,
  appWith,
  base,
  claims,
  good,
  INVALID,
  ISSUER,
  keyFor,
  pairs,
  SECRET,
  send,
  silent,
  token,
  withKey,
  withSecret,
} from "./support.js";

afterEach(closeServers);
afterEach(() => jest.restoreAllMocks());

const KEY = apiKey({ keys: ["sesame"] });
const other = withSecret({ issuer: "other" });
const opaque = bearer({ verify: (text) => (text === "opaque" ? { sub: "bob" } : false) });

describe("several schemes", () => {
  const get = (
    schemes: Parameters<typeof authenticate>[0],
    headers: object,
    options?: { optional: boolean },
  ) =>
    request(appWith(authenticate(schemes, options)))
      .get("/")
      .set(headers as Record<string, string>);
  const bearerOf = (text: string) => ({ Authorization: `Bearer ${text}` });

  it("each has a challenge", async () => {
    const res = await get([withKey("ES256"), KEY], {}).expect(401);
    expect(res.headers["www-authenticate"]).toBe('Bearer realm="api", ApiKey header="x-api-key"');
  });

  it("each challenge has a header line of its own", async () => {
    const { port } = await listen(
      appWith(authenticate([withKey("ES256"), other, KEY, basic({ users: { ann: "p" } })])),
    );
    const res = await new Promise<http.IncomingMessage>((resolve) => http.get({ port }, resolve));
    res.resume();
    const sent = res.rawHeaders.filter((_, i, all) => all[i - 1] === "WWW-Authenticate");
    expect(sent).toEqual([
      'Bearer realm="api"',
      'ApiKey header="x-api-key"',
      'Basic realm="api", charset="UTF-8"',
    ]);
  });

  const all = [withKey("ES256"), other, opaque, KEY];
  const ofOther = token({ alg: "HS256" }, claims({ iss: "other" }));
  it.each<[string, object, number, unknown]>([
    ["a token of the first issuer", bearerOf(good("ES256")), 200, "jwt"],
    ["a token of the second issuer", bearerOf(ofOther), 200, "jwt"],
    ["no JWT", bearerOf("opaque"), 200, "bearer"],
    ["the key", { "x-api-key": "sesame" }, 200, "apiKey"],
    [
      "a token and the key: the token counts",
      { ...bearerOf(good("ES256")), "x-api-key": "wrong" },
      200,
      "jwt",
    ],
    [
      "the key beside another kind of credentials",
      { Authorization: "Basic YTpi", "x-api-key": "sesame" },
      200,
      "apiKey",
    ],
    [
      "a forged token of the second",
      bearerOf(token({ alg: "HS256" }, claims({ iss: "other" }), Buffer.alloc(64))),
      401,
      INVALID,
    ],
    ["the second's secret, the first's name", bearerOf(good("HS256")), 401, INVALID],
    ["a stranger's token", bearerOf(good("ES256", { iss: "x" })), 401, INVALID],
    ["a stranger's token beside the key", { ...bearerOf("unknown"), "x-api-key": "sesame" }, 401, INVALID],
    ["what is no token at all", bearerOf("a b"), 400, 'Bearer realm="api", error="invalid_request"'],
  ])("%s", async (_name, headers, status, expected) => {
    const res = await get(all, headers).expect(status);
    if (status === 200) expect(res.body.scheme).toBe(expected);
    else expect(res.headers["www-authenticate"]).toBe(`${expected}, ApiKey header="x-api-key"`);
  });

  it("a token that no scheme accepts is refused, also with optional credentials and other schemes after it", async () => {
    for (const schemes of [[withKey("ES256")], [withKey("ES256"), KEY], [KEY, withKey("ES256"), other]]) {
      const res = await get(schemes, { ...bearerOf(good("ES256", { iss: "x" })) }, { optional: true }).expect(
        401,
      );
      expect(res.headers["www-authenticate"]).toContain(INVALID);
    }
    expect((await get([withKey("ES256")], {}, { optional: true }).expect(200)).body).toBe("anonymous");
  });
});

describe("requireScopes", () => {
  const app = (scheme: Parameters<typeof authenticate>[0]) =>
    appWith(authenticate(scheme, { optional: true }), requireScopes("read", "write"));
  const scoped = (more: object) => ({ Authorization: `Bearer ${good("ES256", more)}` });
  const TOO_LITTLE = 'Bearer error="insufficient_scope", scope="read write"';

  it.each<[string, object, number]>([
    ["names with spaces between", { scope: "write other read" }, 200],
    ["a list", { scp: ["read", "write"] }, 200],
    ["a list under the other name", { scope: ["read", "write"] }, 200],
    ["names under the other name", { scp: "read write" }, 200],
    ["one of two", { scope: "read" }, 403],
    ["a longer name", { scope: "read writer" }, 403],
    ["none", {}, 403],
    ["an object", { scope: { read: true, write: true } }, 403],
    ["some under each name", { scope: "read", scp: ["write"] }, 200],
    ["an empty one beside it", { scope: "", scp: ["read", "write"] }, 200],
    ["names in one entry", { scp: ["read write"] }, 403],
    ["numbers", { scp: [1, 2] }, 403],
  ])("%s", async (_name, more, status) => {
    const res = await request(app(withKey("ES256")))
      .get("/")
      .set(scoped(more))
      .expect(status);
    expect(res.headers["www-authenticate"]).toBe(status === 403 ? TOO_LITTLE : undefined);
  });

  it("anonymous requests get the challenges of the authenticate before", async () => {
    const res = await request(app([KEY, basic({ users: { ann: "p" } })]))
      .get("/")
      .expect(401);
    expect(res.headers["www-authenticate"]).toBe(
      'ApiKey header="x-api-key", Basic realm="api", charset="UTF-8"',
    );
    expect(res.headers.vary).toBe("x-api-key, Authorization");
    const alone = await request(appWith(requireScopes("read")))
      .get("/")
      .expect(401);
    expect(alone.headers["www-authenticate"]).toBe('Bearer realm="api"');
  });

  it("insufficient_scope is sent for tokens only, not for keys", async () => {
    const res = await request(app(KEY)).get("/").set("x-api-key", "sesame").expect(403);
    expect(res.headers["www-authenticate"]).toBeUndefined();
  });

  it("a preflight is answered, also one that authenticate passed on", async () => {
    const handler = jest.fn();
    const app = appWith(
      authenticate(withKey("ES256"), { preflight: "pass" }),
      requireScopes("read"),
      handler,
    );
    const headers = { Origin: "https://app.example", "Access-Control-Request-Method": "GET" };
    const res = await request(app).options("/").set(headers).expect(204);
    expect(res.headers["access-control-allow-origin"]).toBeUndefined();
    expect(handler).not.toHaveBeenCalled();
  });
});

describe("errors after an asynchronous scheme reach the error handler", () => {
  const broken: Record<string, express.RequestHandler> = {
    "a setHeader of somebody's own": (_req, res, next) => {
      const { setHeader } = res;
      res.setHeader = function (this: typeof res, name: string, value: string) {
        if (name === "WWW-Authenticate") throw new Error("veto");
        return setHeader.call(this, name, value);
      } as typeof setHeader;
      next();
    },
    "an auth that cannot be written": (req, _res, next) => {
      Object.defineProperty(req, "auth", { value: "mine", writable: false });
      next();
    },
  };
  it.each(Object.keys(broken))("%s", async (name) => {
    const forged = token({ alg: "ES256" }, claims(), pairs.ES256.privateKey).replace(/..$/, "AA");
    const text = name.startsWith("an auth") ? good("ES256") : forged;
    const app = appWith(broken[name]!, authenticate(withKey("ES256")));
    const res = await request(app).get("/").set("Authorization", `Bearer ${text}`).expect(500);
    expect(res.body.detail).toMatch(/veto|auth/);
    const later = appWith(
      broken[name]!,
      authenticate(bearer({ verify: async () => name.startsWith("an auth") })),
    );
    await request(later).get("/").set("Authorization", "Bearer x").expect(500);
  });

  it("also from authorize", async () => {
    const veto: express.RequestHandler = (_req, res, next) => {
      res.setHeader = () => {
        throw new Error("veto");
      };
      next();
    };
    const seen = jest.fn();
    const app = express().use(
      veto,
      authorize(async () => false),
    );
    app.use(((error, _req, res, _next) => {
      seen(error.message);
      Reflect.deleteProperty(res, "setHeader");
      res.sendStatus(500);
    }) as express.ErrorRequestHandler);
    await request(app).get("/").expect(500);
    expect(seen.mock.calls).toEqual([["veto"]]);
  });
});

describe("with the others", () => {
  it("a browser can read the refusal, and the log has the principal", async () => {
    const entries: { status: number; user?: string }[] = [];
    const stream = { write: (line: string) => entries.push(JSON.parse(line)) > 0 };
    const app = appWith(
      requestLog({ format: "json", stream }),
      cors({ origin: "https://app.example" }),
      authenticate(withKey("ES256")),
    );
    const sent = (bearer: string) =>
      request(app)
        .get("/")
        .set({ Origin: "https://app.example", Authorization: `Bearer ${bearer}` });
    await sent(good("ES256")).expect(200);
    const res = await sent("forged").expect(401);
    expect(res.headers["access-control-allow-origin"]).toBe("https://app.example");
    expect(entries.map(({ status, user }) => [status, user])).toEqual([
      [200, "ann"],
      [401, undefined],
    ]);
  });

  it("without recover, Express answers 503", async () => {
    jest.spyOn(console, "error").mockImplementation(() => {});
    const app = express().use(
      authenticate(jwt({ ...base, algorithms: ["ES256"], jwks: `${REFUSING}/jwks.json` })),
    );
    const res = await request(app)
      .get("/")
      .set("Authorization", `Bearer ${good("ES256")}`)
      .expect(503);
    expect(res.headers["retry-after"]).toBe("5");
  });

  it("in a chain, req.auth is typed", async () => {
    const handler = chain(authenticate(withKey("ES256"))).then((req, res) => {
      res.json(req.auth.principal.sub);
    });
    const app = express()
      .use(handler)
      .use(recover({ logger: silent }));
    const res = await request(app)
      .get("/")
      .set("Authorization", `Bearer ${good("ES256")}`)
      .expect(200);
    expect(res.body).toBe("ann");
  });

  it("NODE_DEBUG shows why a token is refused, and nothing of the token", async () => {
    const text = good("ES256", { exp: 1 });
    const script = `
      const { jwt } = require("express-portico/jwt");
      const key = ${JSON.stringify(pairs.ES256.publicKey.export({ format: "jwk" }))};
      jwt({ issuer: ${JSON.stringify(ISSUER)}, audience: ${JSON.stringify(AUDIENCE)}, algorithms: ["ES256"], key })
        .check({ headers: { authorization: "Bearer ${text}" }, rawHeaders: ["Authorization", ""] });`;
    const env = { ...process.env, NODE_DEBUG: "express-portico-jwt" };
    const { stderr, status } = spawnSync(process.execPath, ["--input-type=commonjs", "-e", script], {
      env,
      encoding: "utf8",
      cwd: process.cwd(),
    });
    expect([status, stderr]).toEqual([0, expect.stringMatching(/refused: it has expired/)]);
    expect(stderr).not.toContain(text.slice(0, 20));
  });
});

/** Sends the same tokens to express-jwt and compares the results. */
describe("beside express-jwt", () => {
  const theirs = expressjwt({
    secret: createSecretKey(SECRET),
    algorithms: ["HS256"],
    issuer: ISSUER,
    audience: AUDIENCE,
  });
  const peer = express();
  peer.use(theirs as never, (_req: unknown, res: express.Response) => void res.sendStatus(200));
  peer.use(
    ((error, _req, res, _next) => void res.sendStatus(error.status ?? 500)) as express.ErrorRequestHandler,
  );

  it.each<[string, string, number, number]>([
    ["a good token", good("HS256"), 200, 200],
    ["an expired one", good("HS256", { exp: 1 }), 401, 401],
    ["another audience", good("HS256", { aud: "x" }), 401, 401],
    ["another issuer", good("HS256", { iss: "x" }), 401, 401],
    ["not yet valid", good("HS256", { nbf: 4e9 }), 401, 401],
    ["none", `${token({ alg: "none" }, claims(), keyFor("HS256"), "HS256")}`, 401, 401],
    ["another algorithm", good("HS384"), 401, 401],
    ["forged", token({ alg: "HS256" }, claims(), Buffer.alloc(64)), 401, 401],
    // The differences that docs/jwt.md lists.
    ["one that never expires", good("HS256", { exp: undefined }), 401, 200],
    ["one of the future", good("HS256", { iat: 4e9 }), 401, 200],
    [
      "a claim twice",
      token({ alg: "HS256" }, JSON.stringify(claims()).replace("}", ',"sub":"eve"}'), SECRET, "HS256"),
      401,
      200,
    ],
    ["a critical extension", good("HS256", {}, { crit: ["x"], x: 1 }), 401, 200],
  ])("%s: %i here (ours %i, theirs %i)", async (_name, text, ours, expected) => {
    await send(withSecret(), text).expect(ours);
    await request(peer).get("/").set("Authorization", `Bearer ${text}`).expect(expected);
  });
});
