import { once } from "node:events";
import type { ErrorRequestHandler, RequestHandler } from "express";
import request from "supertest";
import { apiKey, authenticate, authorize, basic, bearer, requireScopes } from "../../src/auth/index.js";
import { contextOf } from "../../src/context/index.js";
import { expressVersions } from "../support/express.js";
import { closeServers, listen, raw } from "../support/server.js";
import { oneIn } from "../support/soak.js";

afterEach(closeServers);

const b64 = (text: string) => Buffer.from(text).toString("base64");
const verify = (token: string) => (token === "good" ? { name: "ann", scope: "read write" } : false);
const BEARER = bearer({ verify });
const BASIC = basic({ users: { ann: "p:w:d", "": "empty", bob: "b\u00fcro" }, realm: 'a "quoted" \\ realm' });
const KEY = apiKey({ keys: ["sesame", "other"] });

describe.each(expressVersions)("on %s", (_version, express) => {
  const reached = jest.fn();
  beforeEach(() => void reached.mockClear());

  function app(...handlers: RequestHandler[]) {
    const made = express();
    made.use(...handlers);
    made.use((req, res) => {
      reached();
      res.json(contextOf(req).auth ?? "anonymous");
    });
    made.use(
      ((error, _req, res, _next) =>
        void res.status(500).send(`handled ${error.message}`)) as ErrorRequestHandler,
    );
    return made;
  }

  const send = (handler: RequestHandler, headers: Record<string, string> = {}) =>
    request(app(handler)).get("/").set(headers);

  const BEARER_401 = 'Bearer realm="api", error="invalid_token"';
  const BEARER_400 = 'Bearer realm="api", error="invalid_request"';
  const BASIC_401 = 'Basic realm="a \\"quoted\\" \\\\ realm", charset="UTF-8"';

  it.each([
    // bearer
    ["no credentials", BEARER, {}, 401, 'Bearer realm="api"'],
    ["a good token", BEARER, { Authorization: "Bearer good" }, 200, undefined],
    ["any case, two spaces", BEARER, { Authorization: "bEaReR  good" }, 200, undefined],
    ["a bad token", BEARER, { Authorization: "Bearer bad" }, 401, BEARER_401],
    ["no token", BEARER, { Authorization: "Bearer" }, 400, BEARER_400],
    ["two tokens", BEARER, { Authorization: "Bearer good good" }, 400, BEARER_400],
    ["no b64token", BEARER, { Authorization: "Bearer g\u00f6\u00f6d" }, 400, BEARER_400],
    ["padding in the middle", BEARER, { Authorization: "Bearer a=b" }, 400, BEARER_400],
    ["a tab", BEARER, { Authorization: "Bearer\tgood" }, 400, BEARER_400],
    ["leading junk", BEARER, { Authorization: ',"Bearer good' }, 400, BEARER_400],
    ["another scheme", BEARER, { Authorization: "Digest x=y" }, 401, 'Bearer realm="api"'],
    ["a token in the query only", BEARER, {}, 401, 'Bearer realm="api"'],
    // basic
    ["no credentials", BASIC, {}, 401, BASIC_401],
    ["colons in the password", BASIC, { Authorization: `Basic ${b64("ann:p:w:d")}` }, 200, undefined],
    ["lower case", BASIC, { Authorization: `basic ${b64("ann:p:w:d")}` }, 200, undefined],
    ["an empty user", BASIC, { Authorization: `Basic ${b64(":empty")}` }, 200, undefined],
    ["UTF-8", BASIC, { Authorization: `Basic ${b64("bob:b\u00fcro")}` }, 200, undefined],
    [
      "Latin-1",
      BASIC,
      { Authorization: `Basic ${Buffer.from("bob:b\u00fcro", "latin1").toString("base64")}` },
      401,
      BASIC_401,
    ],
    ["a wrong password", BASIC, { Authorization: `Basic ${b64("ann:p")}` }, 401, BASIC_401],
    ["an unknown user", BASIC, { Authorization: `Basic ${b64("eve:p")}` }, 401, BASIC_401],
    ["__proto__", BASIC, { Authorization: `Basic ${b64("__proto__:x")}` }, 401, BASIC_401],
    ["constructor", BASIC, { Authorization: `Basic ${b64("constructor:x")}` }, 401, BASIC_401],
    ["toString", BASIC, { Authorization: `Basic ${b64("toString:")}` }, 401, BASIC_401],
    ["no colon", BASIC, { Authorization: `Basic ${b64("ann")}` }, 401, BASIC_401],
    ["no base64", BASIC, { Authorization: "Basic @@@@" }, 401, BASIC_401],
    ["nothing", BASIC, { Authorization: "Basic" }, 401, BASIC_401],
    ["a control character", BASIC, { Authorization: `Basic ${b64("ann:p:w:d\n")}` }, 401, BASIC_401],
    // apiKey
    ["no key", KEY, {}, 401, 'ApiKey header="x-api-key"'],
    ["a key", KEY, { "X-Api-Key": "sesame" }, 200, undefined],
    ["the other key", KEY, { "X-Api-Key": "other" }, 200, undefined],
    ["a wrong key", KEY, { "X-Api-Key": "sesam" }, 401, 'ApiKey header="x-api-key"'],
    ["an empty key", KEY, { "X-Api-Key": "" }, 401, 'ApiKey header="x-api-key"'],
    ["an array's method", KEY, { "X-Api-Key": "length" }, 401, 'ApiKey header="x-api-key"'],
  ])("%s", async (_name, scheme, headers, status, challenge) => {
    const res = await send(authenticate(scheme), headers as Record<string, string>).query({
      access_token: "good",
    });
    expect([res.status, res.headers["www-authenticate"]]).toEqual([status, challenge]);
    expect(reached).toHaveBeenCalledTimes(status === 200 ? 1 : 0);
    if (status === 200) return;
    expect(res.headers).toMatchObject({
      "cache-control": "no-store",
      "content-type": expect.stringContaining("problem+json"),
      vary: scheme === KEY ? "x-api-key" : "Authorization",
    });
    expect(res.text).not.toMatch(/good|sesam|p:w:d|at /);
  });

  it.each([
    ["true for bearer", bearer({ verify: () => true }), { Authorization: "Bearer x" }, {}],
    [
      "true for basic",
      basic({ verify: () => true }),
      { Authorization: `Basic ${b64("eve:x")}` },
      { name: "eve" },
    ],
    ["true for a key", apiKey({ verify: () => true }), { "X-Api-Key": "k" }, {}],
    ["an object", bearer({ verify: () => ({ sub: "7" }) }), { Authorization: "Bearer x" }, { sub: "7" }],
    [
      "a promise of one",
      bearer({ verify: async () => ({ sub: "7" }) }),
      { Authorization: "Bearer x" },
      { sub: "7" },
    ],
    ["users", BASIC, { Authorization: `Basic ${b64("ann:p:w:d")}` }, { name: "ann" }],
    ["a list of keys", KEY, { "X-Api-Key": "sesame" }, {}],
    [
      "keys with principals",
      apiKey({ keys: { k: { name: "partner" } } }),
      { "X-Api-Key": "k" },
      { name: "partner" },
    ],
    ["another header", apiKey({ header: "X-Other", keys: ["k"] }), { "x-other": "k" }, {}],
  ])("the principal of %s", async (_name, scheme, headers, principal) => {
    const res = await send(authenticate(scheme), headers as Record<string, string>).expect(200);
    expect(res.body).toEqual({ scheme: scheme.name, principal });
  });

  it.each(
    oneIn<[unknown]>(2, [
      [undefined],
      [null],
      [0],
      [1],
      [""],
      ["true"],
      ["ann"],
      [[]],
      [["ann"]],
      [new Error("no")],
      [() => true],
      [NaN],
    ]),
  )("a verify that returns %p lets nobody in, now or later", async (verdict) => {
    for (const told of [verdict, Promise.resolve(verdict)]) {
      await send(authenticate(bearer({ verify: () => told as never })), { Authorization: "Bearer x" }).expect(
        401,
      );
      await send(authenticate(apiKey({ verify: () => told as never })), { "X-Api-Key": "x" }).expect(401);
      await send(authorize(() => told as never)).expect(403);
    }
    expect(reached).not.toHaveBeenCalled();
  });

  it.each(
    oneIn<[unknown]>(2, [[new Error("db")], [undefined], [null], ["route"], ["router"], [0], [Symbol("x")]]),
  )("a callback that throws or rejects with %p fails closed, once", async (thrown) => {
    const throws = () => {
      throw thrown;
    };
    const rejects = () => Promise.reject(thrown);
    for (const callback of [throws, rejects] as (() => never)[]) {
      await send(authenticate(bearer({ verify: callback })), { Authorization: "Bearer x" }).expect(
        500,
        /^handled/,
      );
      await send(authenticate(basic({ verify: callback })), { Authorization: `Basic ${b64("a:b")}` }).expect(
        500,
      );
      await send(authenticate(apiKey({ verify: callback })), { "X-Api-Key": "x" }).expect(500);
      await send(authorize(callback)).expect(500);
    }
    expect(reached).not.toHaveBeenCalled();
  });

  it("a predicate whose result throws when it is read is an error, and the request does not pass", async () => {
    const trap = {
      // biome-ignore lint/suspicious/noThenProperty: the very thing under test
      get then() {
        throw undefined;
      },
    };
    await send(authorize(() => trap as never)).expect(500);
    expect(reached).not.toHaveBeenCalled();
  });

  it("a refusal after another handler has answered does nothing", async () => {
    let answered: Promise<unknown> = Promise.resolve();
    const slow = () => answered.then(() => false);
    const limit: RequestHandler = (_req, res, next) => {
      answered = once(res, "finish");
      setTimeout(() => res.status(503).end(), 5);
      next();
    };
    for (const guard of [authenticate(bearer({ verify: slow })), authorize(slow)]) {
      await request(app(limit, guard)).get("/").set("Authorization", "Bearer x").expect(503);
    }
    await slow();
  });

  it("a principal of keys is a frozen copy, shared by all requests", async () => {
    const keys: Record<string, { name: string }> = { k: { name: "partner" } };
    const guard = authenticate(apiKey({ keys }));
    keys.k!.name = "changed";
    const meddle: RequestHandler = (req, _res, next) => {
      Reflect.set(contextOf(req).auth!.principal, "role", "admin");
      next();
    };
    const made = app(guard, meddle);
    for (let i = 0; i < 2; i++) {
      const res = await request(made).get("/").set("X-Api-Key", "k").expect(200);
      expect(res.body.principal).toEqual({ name: "partner" });
    }
  });

  it("a thenable that settles twice counts once", async () => {
    const twice = {
      // biome-ignore lint/suspicious/noThenProperty: the very thing under test
      then(resolve: (value: unknown) => void, reject: (error: unknown) => void) {
        resolve(true);
        resolve(false);
        reject(new Error("late"));
      },
    };
    await send(authenticate(bearer({ verify: () => twice as never })), { Authorization: "Bearer x" }).expect(
      200,
    );
    await send(authorize(() => twice as never)).expect(200);
    expect(reached).toHaveBeenCalledTimes(2);
  });

  describe("several schemes", () => {
    const all = authenticate([BEARER, BASIC, KEY]);

    it("give one challenge each, in separate header fields", async () => {
      const server = await listen(app(all));
      const { text } = await raw(server.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 40);
      expect(text.match(/^WWW-Authenticate: .*$/gm)?.map((line) => line.split(" ")[1])).toEqual([
        "Bearer",
        "Basic",
        "ApiKey",
      ]);
      expect(text).toMatch(/^Vary: Authorization, x-api-key\r$/m);
    });

    it.each([
      [{ Authorization: "Bearer good" }, "bearer"],
      [{ Authorization: `Basic ${b64("ann:p:w:d")}` }, "basic"],
      [{ "X-Api-Key": "other" }, "apiKey"],
      [{ Authorization: "Negotiate x", "X-Api-Key": "other" }, "apiKey"],
    ])("take %j", async (headers, scheme) => {
      const res = await send(all, headers as unknown as Record<string, string>).expect(200);
      expect(res.body.scheme).toBe(scheme);
    });

    it("refuse bad credentials, although another scheme has good ones", async () => {
      await send(all, { Authorization: "Bearer bad", "X-Api-Key": "other" }).expect(401);
    });
  });

  describe("optional", () => {
    const optional = authenticate([BEARER, KEY], { optional: true });

    it.each<[string, Record<string, string>, number, unknown]>([
      ["no credentials", {}, 200, "anonymous"],
      ["a scheme that is not offered", { Authorization: "Basic x" }, 200, "anonymous"],
      ["good ones", { Authorization: "Bearer good" }, 200, expect.objectContaining({ scheme: "bearer" })],
      ["bad ones", { Authorization: "Bearer bad" }, 401, expect.anything()],
      ["malformed ones", { Authorization: "Bearer" }, 400, expect.anything()],
      ["a bad key", { "X-Api-Key": "no" }, 401, expect.anything()],
    ])("with %s", async (_name, headers, status, body) => {
      const res = await send(optional, headers).expect(status);
      expect(res.body).toEqual(body);
    });
  });

  it("auth is frozen, also on req, and removed when a later authenticate refuses", async () => {
    const seen: unknown[] = [];
    const look: RequestHandler = (req, _res, next) => {
      const { auth } = contextOf(req);
      seen.push(Object.isFrozen(auth), (req as { auth?: unknown }).auth === auth);
      next();
    };
    const made = express();
    made.use(authenticate(KEY), look, authenticate(BEARER));
    made.use(
      ((_error, req, res, _next) => void res.json(contextOf(req).auth ?? "none")) as ErrorRequestHandler,
    );
    await request(made).get("/").set("X-Api-Key", "sesame").expect(401);
    expect(seen).toEqual([true, true]);
    const failing = express();
    failing.use(authenticate(KEY), authenticate(bearer({ verify: () => Promise.reject(new Error("db")) })));
    failing.use(
      ((_error, req, res, _next) => void res.json(contextOf(req).auth ?? "none")) as ErrorRequestHandler,
    );
    const res = await request(failing).get("/").set({ "X-Api-Key": "sesame", Authorization: "Bearer x" });
    expect(res.body).toBe("none");
  });

  describe("a real preflight", () => {
    const preflight = { Origin: "https://a.example", "Access-Control-Request-Method": "PUT" };
    const guards: [string, (options?: { preflight: "pass" }) => RequestHandler][] = [
      ["authenticate", (options) => authenticate(BEARER, options)],
      ["authorize", (options) => authorize(() => false, options)],
    ];

    it.each(guards)("is answered by %s with an empty 204 that allows nothing", async (_name, guard) => {
      const res = await request(app(guard())).options("/").set(preflight).expect(204, "");
      expect(Object.keys(res.headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
      expect(reached).not.toHaveBeenCalled();
    });

    it.each(guards)('is passed on by %s with "pass"', async (_name, guard) => {
      await request(app(guard({ preflight: "pass" })))
        .options("/")
        .set(preflight)
        .expect(200);
    });

    it.each(guards)("is not any other OPTIONS, for %s", async (_name, guard) => {
      const { Origin, ...method } = preflight;
      for (const headers of [{}, { Origin }, method, { Origin, "Access-Control-Request-Headers": "x" }]) {
        const res = await request(app(guard())).options("/").set(headers);
        expect([401, 403]).toContain(res.status);
      }
    });

    it("is answered by requireScopes", async () => {
      await request(app(requireScopes("a")))
        .options("/")
        .set(preflight)
        .expect(204);
    });
  });

  describe("authorize", () => {
    it.each([
      ["true", () => true, 200],
      ["a promise of true", async () => true, 200],
      ["false", () => false, 403],
    ])("with %s", async (_name, predicate, status) => {
      const res = await send(authorize(predicate)).expect(status);
      if (status === 403) {
        expect(res.headers).toMatchObject({ "cache-control": "no-store", vary: "Authorization" });
        expect(res.headers).not.toHaveProperty("www-authenticate");
      }
    });
  });

  describe("requireScopes", () => {
    const guarded = (principal: Record<string, unknown>, ...names: string[]) => {
      const made = express();
      made.use(authenticate(bearer({ verify: () => principal })), requireScopes(...names));
      made.use((_req, res) => void res.send("in"));
      return request(made).get("/").set("Authorization", "Bearer x");
    };

    it.each([
      [{ scope: "a b" }, ["a"], 200],
      [{ scope: "a b" }, ["a", "b"], 200],
      [{ scp: ["a", "b"] }, ["b"], 200],
      [{ scope: "a b" }, ["c"], 403],
      [{ scope: "ab" }, ["a"], 403],
      [{ scope: 5 }, ["a"], 403],
      [{}, ["a", "b"], 403],
    ])("%j for %j: %i", async (principal, names, status) => {
      const res = await guarded(principal, ...names).expect(status);
      if (status === 403) {
        expect(res.headers["www-authenticate"]).toBe(
          `Bearer error="insufficient_scope", scope="${names.join(" ")}"`,
        );
      }
    });

    it("is 401 for anonymous requests", async () => {
      await send(requireScopes("a")).expect(401);
    });
  });

  it.each([
    "/admin",
    "/ADMIN",
    "/admin/",
    "/admin/x",
    "//admin",
    "/admin//",
    "/admin?x",
    "/%61dmin",
    "/pub/../admin",
    "/admin%2Fx",
    "/x/..%2fadmin",
  ])("the path %s does not lead around a mounted check", async (path) => {
    const made = express();
    made.use("/admin", authenticate(BEARER));
    made.use("/admin", (_req, res) => void res.send("inside"));
    made.use((_req, res) => void res.send("outside"));
    const server = await listen(made);
    const { text } = await raw(server.port, `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    expect(text).not.toContain("inside");
  });

  it("leaves params and query unchanged", async () => {
    const made = express();
    made.get("/:id", authenticate(KEY), (req, res) => void res.json([req.params.id, req.query.q]));
    await request(made).get("/7?q=1").set("X-Api-Key", "sesame").expect(["7", "1"]);
  });
});

it("has the names authenticate, authorize, requireScopes in a printed stack", () => {
  expect([authenticate(KEY).name, authorize(() => true).name, requireScopes("a").name]).toEqual([
    "authenticate",
    "authorize",
    "requireScopes",
  ]);
});
