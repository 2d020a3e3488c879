import express, { type RequestHandler } from "express";
import session, { type SessionData } from "express-session";
import passport from "passport";
import { Strategy } from "passport-http-bearer";
import { cache, contextOf, cors, recover, requestLog, timeout } from "../../../src/index.js";
import { ask1 } from "../../support/http2.js";
import { memoryLogger } from "../../support/logger.js";
import { closeServers, listen, type TestServer, until } from "../../support/server.js";
import {
  captureOutput,
  cookieOf,
  fromPage,
  listenToExample,
  PAGE_ORIGIN,
  preflight,
  quiet,
  stalledPost,
  statusOf,
} from "./support.js";

declare module "express-session" {
  interface SessionData {
    name: string;
  }
}

describe("passport", () => {
  beforeEach(() => {
    const strategy = new Strategy((token, done) => {
      if (token !== "hang") done(null, token === "let-me-in" ? { name: "ann" } : false);
    });
    passport.use("plain", strategy);
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await closeServers();
  });

  const plain = (options: passport.AuthenticateOptions = {}): RequestHandler =>
    passport.authenticate("plain", { session: false, ...options });
  const good = { headers: { authorization: "Bearer let-me-in" } };

  function appOf(...handlers: RequestHandler[]): express.Express {
    const app = express();
    app.use(...handlers);
    app.all("/", (req, res) => void res.json({ user: req.user, auth: contextOf(req).auth ?? null }));
    app.use(recover({ logger: quiet }));
    return app;
  }

  describe("the examples", () => {
    it("a strategy in authenticate: refusals and principal", async () => {
      captureOutput();
      const server = await listenToExample("passport");
      expect(await statusOf(server, "/", preflight)).toBe(204);
      const anonymous = await ask1(server.url, "/", { headers: fromPage });
      expect(anonymous).toMatchObject({
        status: 401,
        headers: {
          "access-control-allow-origin": PAGE_ORIGIN,
          "cache-control": "no-store",
          "www-authenticate": 'Bearer realm="api"',
        },
      });
      const wrong = await ask1(server.url, "/", { headers: { authorization: "Bearer wrong" } });
      expect(wrong.headers["www-authenticate"]).toBe('Bearer realm="api", error="invalid_token"');
      const ann = await ask1(server.url, "/", good);
      expect(JSON.parse(ann.body)).toEqual({ scheme: "bearer", principal: { name: "ann", role: "owner" } });
      expect(await statusOf(server, "/audit", good)).toBe(200);
    });

    it("log-in with a session: a new id, the user in the log, and log-out", async () => {
      const lines = captureOutput();
      const { url } = await listenToExample("passport", 1);
      const post = (path: string, cookie: string, body = "{}") =>
        ask1(url, path, {
          method: "POST",
          headers: { "x-forwarded-proto": "https", "content-type": "application/json", cookie },
          body,
        });
      const right = JSON.stringify({ name: "ann", password: "a-long-random-password" });
      expect((await post("/login", "")).status).toBe(403);
      const login = await post("/login", "", right);
      const cookie = cookieOf(login.headers);
      const again = await post("/login", cookie, right);
      expect(cookieOf(again.headers)).not.toBe(cookie);

      const now = cookieOf(again.headers);
      const mine = () => ask1(url, "/", { headers: { cookie: now } });
      expect(await mine()).toMatchObject({ status: 200, body: "ann" });
      await until(() => lines.some((line) => line.includes('"path":"/",')));
      expect(JSON.parse(lines.find((line) => line.includes('"path":"/",'))!)).toMatchObject({ user: "ann" });
      expect((await post("/logout", now)).body).toBe("Goodbye");
      expect((await mine()).status).toBe(403);
      await until(() => lines.filter((line) => line.includes('"path":"/",')).length === 2);
    });
  });

  it("before cors the preflight is a 401, after it a 204", async () => {
    const page = cors({ origin: PAGE_ORIGIN });
    expect(await statusOf(await listen(appOf(plain(), page)), "/", preflight)).toBe(401);
    expect(await statusOf(await listen(appOf(page, plain())), "/", preflight)).toBe(204);
  });

  it("its own 401 is plain text; with failWithError recover answers, and keeps the challenge", async () => {
    const own = await ask1((await listen(appOf(plain()))).url, "/");
    expect(own).toMatchObject({ status: 401, body: "Unauthorized" });
    expect(own.headers["www-authenticate"]).toBe('Bearer realm="Users"');
    expect(own.headers).not.toHaveProperty("cache-control");
    expect(own.headers).not.toHaveProperty("content-type");

    const handed = await ask1((await listen(appOf(plain({ failWithError: true })))).url, "/");
    expect(handed).toMatchObject({
      status: 401,
      headers: {
        "www-authenticate": 'Bearer realm="Users"',
        "cache-control": "no-store",
        "content-type": expect.stringContaining("application/problem+json"),
      },
    });
  });

  it("sets req.user, and leaves contextOf(req).auth and the log's user empty", async () => {
    const logger = memoryLogger();
    const { url } = await listen(appOf(requestLog({ logger }), plain()));
    expect(JSON.parse((await ask1(url, "/", good)).body)).toEqual({ user: { name: "ann" }, auth: null });
    await until(() => logger.entries.length > 0);
    expect(logger.entries[0]!.fields.user).toBeUndefined();
  });

  describe("sessions", () => {
    const keep = () => session({ secret: "a secret", resave: false, saveUninitialized: false });

    it("passport.session() before express-session makes every request a 500", async () => {
      expect(await statusOf(await listen(appOf(passport.session(), keep())))).toBe(500);
      expect(await statusOf(await listen(appOf(keep(), passport.session())))).toBe(200);
    });

    it("logout without its callback is a 500, and the user stays", async () => {
      passport.serializeUser((user, done) => done(null, user));
      passport.deserializeUser((user: Express.User, done) => done(null, user));
      const app = express();
      app.use(keep(), passport.session());
      app.post("/login", plain({ session: true }), (_req, res) => void res.send("Welcome"));
      app.post("/logout", (req, res) => {
        (req.logout as unknown as () => void)();
        res.send("Goodbye");
      });
      app.get("/", (req, res) => void res.json(req.isAuthenticated()));
      app.use(recover({ logger: quiet }));
      const server = await listen(app);
      const login = await ask1(server.url, "/login", { method: "POST", ...good });
      const headers = { cookie: cookieOf(login.headers) };
      expect(await statusOf(server, "/logout", { method: "POST", headers })).toBe(500);
      expect((await ask1(server.url, "/", { headers })).body).toBe("true");
    });
  });

  it("a strategy that does not call back: a 503 from an outer timeout, otherwise no response", async () => {
    const hang = { authorization: "Bearer hang" };
    expect(await statusOf(await listen(appOf(timeout(50), plain())), "/", { headers: hang })).toBe(503);
    const kept = await listen(appOf(plain(), timeout(50)));
    expect((await stalledPost(kept, "/", { ...hang, "content-length": "0" }, "")).status).toBeUndefined();
  });

  it("reads a token from a form that was parsed before it, and always from the query", async () => {
    const form = {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: "access_token=let-me-in",
    };
    expect(await statusOf(await listen(appOf(express.urlencoded(), plain())), "/", form)).toBe(200);
    const before = await listen(appOf(plain(), express.urlencoded()));
    expect(await statusOf(before, "/", form)).toBe(401);
    expect(await statusOf(before, "/?access_token=let-me-in")).toBe(200);
  });
});

describe("sessions", () => {
  afterEach(async () => {
    jest.restoreAllMocks();
    await closeServers();
  });

  type Callback = (error?: unknown) => void;

  /** A store with one operation that fails or never calls back. */
  class BadStore extends session.MemoryStore {
    constructor(
      readonly operation: "get" | "set" | undefined,
      readonly error?: Error,
    ) {
      super();
    }
    override get(id: string, callback: (error: unknown, data?: SessionData | null) => void): void {
      if (this.operation !== "get") super.get(id, callback);
      else if (this.error !== undefined) callback(this.error);
    }
    override set(id: string, data: SessionData, callback?: Callback): void {
      if (this.operation !== "set") super.set(id, data, callback);
      else if (this.error !== undefined) callback?.(this.error);
    }
  }

  const sessionWith = (options: Partial<session.SessionOptions> = {}): RequestHandler =>
    session({ secret: "a secret", resave: false, saveUninitialized: false, ...options });

  const remember: RequestHandler = (req, _res, next) => {
    Object.assign(req.session, { seen: true });
    next();
  };

  function appOf(...handlers: RequestHandler[]): express.Express {
    const app = express();
    app.use(...handlers);
    app.get("/", (_req, res) => void res.set("Cache-Control", "max-age=60").send("Hello"));
    app.all("/remember", remember, (_req, res) => void res.send("Noted"));
    app.get("/slow", remember, () => {});
    app.use(recover({ logger: quiet }));
    return app;
  }

  const noBody = { "content-length": "0" };
  const overTls = { "x-forwarded-proto": "https" };

  describe("the examples", () => {
    beforeEach(() => void captureOutput());

    it("cache public responses, set a secure cookie with a new id at log-in, and do not cache private responses", async () => {
      const { url } = await listenToExample("express-session");
      await ask1(url, "/", { headers: overTls });
      const hit = await ask1(url, "/", { headers: overTls });
      expect(hit.headers["cache-status"]).toContain("hit");
      expect(hit.headers).not.toHaveProperty("set-cookie");

      const refused = await ask1(url, "/mine", { headers: overTls });
      expect(refused.status).toBe(403);
      const login = await ask1(url, "/login", { method: "POST", headers: overTls });
      expect(login.headers["set-cookie"]![0]).toMatch(/; HttpOnly; Secure; SameSite=Lax$/);
      const cookie = cookieOf(login.headers);
      const mine = await ask1(url, "/mine", { headers: { ...overTls, cookie } });
      expect(mine).toMatchObject({ status: 200, body: "ann" });
      expect(mine.headers["cache-status"]).toContain("bypass");
      const again = await ask1(url, "/login", { method: "POST", headers: { ...overTls, cookie } });
      expect(cookieOf(again.headers)).not.toBe(cookie);
    });

    it("with a path for the cookie, also serve logged-in users from the cache", async () => {
      const { url } = await listenToExample("express-session", 1);
      const visit = await ask1(url, "/account/visit", { method: "POST" });
      expect(visit.headers["set-cookie"]![0]).toMatch(/; Path=\/account; HttpOnly; SameSite=Strict$/);
      await ask1(url, "/"); // a browser sends no cookie here
      expect((await ask1(url, "/")).headers["cache-status"]).toContain("hit");
    });
  });

  describe("a store that does not answer", () => {
    const withCookie = async (server: TestServer) => cookieOf((await ask1(server.url, "/remember")).headers);

    it("get: a 503 from an outer timeout, otherwise no response", async () => {
      const store = new BadStore(undefined);
      const cookie = await withCookie(await listen(appOf(sessionWith({ store }))));
      const hung = sessionWith({ store: new BadStore("get") });
      const covered = await listen(appOf(timeout(50), hung));
      expect(await statusOf(covered, "/", { headers: { cookie } })).toBe(503);
      const kept = await listen(appOf(hung, timeout(50)));
      expect((await stalledPost(kept, "/remember", { ...noBody, cookie }, "")).status).toBeUndefined();
    });

    it("set: all bytes but the last are sent; totalMs ends that, ms does not", async () => {
      const hung = sessionWith({ store: new BadStore("set") });
      const bound = await listen(appOf(timeout({ ms: 50, totalMs: 100 }), hung));
      expect(await stalledPost(bound, "/remember", noBody, "")).toMatchObject({
        end: "reset",
        text: expect.stringMatching(/\r\n\r\nNote$/),
      });
      const kept = await listen(appOf(timeout(50), hung));
      expect(await stalledPost(kept, "/remember", noBody, "")).toMatchObject({
        end: "quiet",
        text: expect.stringMatching(/\r\n\r\nNote$/),
      });
    });
  });

  it.each([
    ["before timeout, its 503 sets the cookie", true],
    ["after timeout, its 503 sets none", false],
  ])("%s", async (_name, isFirst) => {
    const handlers = [sessionWith(), timeout(50)];
    const { url } = await listen(appOf(...(isFirst ? handlers : handlers.toReversed())));
    const { status, headers } = await ask1(url, "/slow");
    expect(status).toBe(503);
    expect("set-cookie" in headers).toBe(isFirst);
  });

  describe.each([
    ["after", (handler: RequestHandler) => [cache(), handler]],
    ["before", (handler: RequestHandler) => [handler, cache()]],
  ])("%s the cache", (_name, order) => {
    it.each([
      [false, true],
      [true, false],
    ])("saveUninitialized: %s, hits: %s", async (saveUninitialized, hits) => {
      const { url } = await listen(appOf(...order(sessionWith({ saveUninitialized }))));
      await ask1(url, "/");
      expect((await ask1(url, "/")).headers["cache-status"]!.includes("hit")).toBe(hits);
    });
  });

  it.each([
    ["max-age=60", "ann"],
    ["private, max-age=60", "bob"],
  ])("with a cache of cookies, after %s Bob gets the page of: %s", async (cacheControl, seen) => {
    const app = express();
    app.use(cache({ cookies: true }), sessionWith());
    app.post("/login/:name", (req, res) => {
      Object.assign(req.session, { name: req.params.name });
      res.send("Welcome");
    });
    app.get("/", (req, res) => void res.set("Cache-Control", cacheControl).send(req.session.name));
    const { url } = await listen(app);
    const login = async (name: string) =>
      cookieOf((await ask1(url, `/login/${name}`, { method: "POST" })).headers);
    const [ann, bob] = [await login("ann"), await login("bob")];
    await ask1(url, "/", { headers: { cookie: ann } });
    expect((await ask1(url, "/", { headers: { cookie: bob } })).body).toBe(seen);
  });

  it.each([
    [1, true],
    [false, false],
  ])("behind a proxy, trust proxy %s: a secure cookie is set: %s", async (trust, isSet) => {
    const app = appOf(sessionWith({ cookie: { secure: true } }));
    app.set("trust proxy", trust);
    const { url } = await listen(app);
    expect("set-cookie" in (await ask1(url, "/remember", { headers: overTls })).headers).toBe(isSet);
  });

  it("a store that fails: get is a 500, set is logged after the answer", async () => {
    const cookie = cookieOf((await ask1((await listen(appOf(sessionWith()))).url, "/remember")).headers);
    const down = new Error("The store is down.");
    for (const [operation, headers, status, message] of [
      ["get", { cookie }, 500, "request failed: GET /: The store is down."],
      ["set", {}, 200, "request failed after its response had ended: GET /: The store is down."],
    ] as const) {
      const logger = memoryLogger();
      const app = express();
      app.use(sessionWith({ store: new BadStore(operation, down) }), remember);
      app.get("/", (_req, res) => void res.send("Hello"));
      app.use(recover({ logger }));
      expect(await statusOf(await listen(app), "/", { headers })).toBe(status);
      await until(() => logger.entries.length > 0);
      expect(logger.entries).toMatchObject([
        { level: "error", message, fields: { error: { message: down.message } } },
      ]);
    }
  });
});
