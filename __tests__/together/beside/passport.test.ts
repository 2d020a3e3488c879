import express, { type RequestHandler } from "express";
import session from "express-session";
import passport from "passport";
import { Strategy } from "passport-http-bearer";
import { contextOf, cors, recover, requestLog, timeout } from "../../../src/index.js";
import { ask1 } from "../../support/http2.js";
import { memoryLogger } from "../../support/logger.js";
import { closeServers, listen, until } from "../../support/server.js";
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
