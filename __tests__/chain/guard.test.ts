import http from "node:http";
import type { Request, RequestHandler } from "express";
import request from "supertest";
import { chain, unless, when } from "../../src/chain/index.js";
import type { ConfigError } from "../../src/lib/config/config-error.js";
import { expressVersions } from "../support/express.js";
import { closeServers, listen, raw } from "../support/server.js";
import { type Complaint, catchComplaints, catcher, thrower } from "./support.js";

let complaints: Complaint[];
beforeEach(() => {
  complaints = catchComplaints();
});
afterEach(async () => {
  await closeServers();
  jest.restoreAllMocks();
});

const refuse: RequestHandler = function refuse(_req, res) {
  res.status(401).send("refused");
};

describe.each(expressVersions)("on %s", (_version, express) => {
  const appOf = (handler: RequestHandler) => {
    const app = express();
    app.use(handler);
    app.use((_req, res) => void res.send("went on"));
    app.use(catcher("app"));
    return app;
  };

  it.each<[unknown, number, number]>([
    // the predicate's result, status with when, status with unless
    [true, 401, 200],
    [false, 200, 401],
    [Promise.resolve(true), 401, 200],
    [Promise.resolve(false), 200, 401],
    [undefined, 500, 401],
    [null, 500, 401],
    [0, 500, 401],
    ["", 500, 401],
    [1, 500, 401],
    ["yes", 500, 401],
    [["match"], 500, 401],
    [Promise.resolve(1), 500, 401],
    [Promise.resolve(), 500, 401],
    [new Boolean(true), 500, 401],
  ])("a predicate that returns %p: %p with when, %p with unless", async (told, withWhen, withUnless) => {
    const predicate = () => told as boolean;
    await request(appOf(when(predicate, refuse)))
      .get("/")
      .expect(withWhen);
    await request(appOf(unless(predicate, refuse)))
      .get("/")
      .expect(withUnless);
  });

  it.each([
    ["an error", new Error("boom"), "boom"],
    ["undefined", undefined, "a value that is not an Error was thrown: undefined"],
    ["'route'", "route", "a value that is not an Error was thrown: string route"],
    ["null", null, "a value that is not an Error was thrown: null"],
  ])("a predicate that throws %s, or rejects with it, is an error, and the handler's route is not reached", async (_name, value, message) => {
    for (const kind of [when, unless]) {
      await request(appOf(kind(thrower(value) as () => boolean, refuse)))
        .get("/")
        .expect(500, `app: ${message}`);
      await request(appOf(kind(() => Promise.reject(value), refuse)))
        .get("/")
        .expect(500, `app: ${message}`);
    }
  });

  it("the error names the type of the predicate's result", async () => {
    await request(appOf(when(() => undefined as never, refuse)))
      .get("/")
      .expect(500, "app: when(refuse): the predicate must return true or false, not undefined");
  });

  it.each([
    ["rejects", async () => Promise.reject(new Error("no")), "no"],
    ["rejects with undefined", () => Promise.reject(), "Rejected promise"],
    ["throws", thrower(new Error("no")), "no"],
    ["passes an error on", ((_req, _res, next) => next(new Error("no"))) as RequestHandler, "no"],
  ])("a handler that %s goes to the error handler once", async (_name, handler, message) => {
    for (const wrapped of [
      when(() => true, handler),
      unless(async () => false, handler),
      chain(when(() => true, handler)).then(refuse),
    ]) {
      await request(appOf(wrapped)).get("/").expect(500, `app: ${message}`);
    }
    expect(complaints).toEqual([]);
  });

  it("the predicate is called once, with the request", async () => {
    const predicate = jest.fn((_req: Request) => false);
    await request(appOf(when(predicate, refuse))).get("/x?y");
    expect(predicate.mock.calls.map(([req]) => req.originalUrl)).toEqual(["/x?y"]);
    expect(predicate.mock.calls[0]).toHaveLength(1);
  });

  it("a handler made by a chain is accepted", async () => {
    const app = appOf(
      unless((req) => req.path === "/open", chain((_req, _res, next) => next()).then(refuse)),
    );
    await request(app).get("/open").expect(200);
    await request(app).get("/closed").expect(401);
  });

  it("a second next() of the handler is ignored and logged", async () => {
    const counted = jest.fn();
    const app = express();
    app.use(
      when(
        () => true,
        function twice(_req, _res, next) {
          next();
          next();
        },
      ),
    );
    app.use((_req, res) => {
      counted();
      res.end();
    });
    await request(app).get("/").expect(200);
    expect(counted).toHaveBeenCalledTimes(1);
    expect(complaints.map(({ message }) => message)).toEqual([
      "twice called next() again; the call was ignored",
    ]);
  });

  describe("unless with a list of open paths, as docs/chain.md has it", () => {
    const open = new Set(["/login", "/health"]);
    const app = express();
    const isOpen = (req: Request) => {
      const path = req.originalUrl.split("?", 1)[0]!;
      return open.has(path) || /^\/assets\/[\w-]+(?:\.[\w-]+)*$/.test(path);
    };
    app.use(unless(isOpen, refuse));
    app.use((_req, res) => void res.send("went on"));

    it.each([
      "/login",
      "/health",
      "/login?next=/admin",
      "/assets/logo.min.js",
      "/assets/logo?v=1/../x",
    ])("lets %s pass", async (path) => {
      await request(app).get(path).expect(200);
    });

    it.each([
      "/admin",
      "/login/",
      "/LOGIN",
      "//login",
      "/login//",
      "/login/../admin",
      "/login/..%2fadmin",
      "/%6cogin",
      "/admin%2flogin",
      "/admin/login",
      "/admin?/login",
      "/admin#/login",
      "/login;a=b",
      "/login%00",
      "/assets",
      "/assets/",
      "/assets/..",
      "/assets/../admin",
      "/assets/..%2fadmin",
      "/assets/%2e%2e/admin",
      "/assets//admin",
      "/assets/.env",
      "/assets/a..b",
      "/assets\\..\\admin",
      "/ASSETS/logo.js",
      "//assets/logo.js",
      "/admin/assets/logo.js",
      "/login%20",
      "/./login",
      "\\login",
      "http://other.example/admin?http://x/login",
      "http://login",
    ])("guards %s", async (path) => {
      const { port } = await listen(app);
      const { text } = await raw(port, `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
      expect(text).toMatch(/^HTTP\/1\.1 40[01] /);
    });
  });
});

it("the result has the name and the members of its handler", () => {
  const guarded = when(() => true, refuse);
  const members = (guarded as unknown as Record<symbol, unknown>)[Symbol.for("express-portico/members")];
  expect([guarded.name, unless(() => true, guarded).name, guarded.length]).toEqual([
    "when(refuse)",
    "unless(when(refuse))",
    3,
  ]);
  expect(members).toEqual([refuse]);
});

it("works in a server without Express, and without a next", async () => {
  const server = (handler: RequestHandler) =>
    http.createServer((req, res) => handler(req as never, res as never, undefined as never));
  const plain: RequestHandler = (_req, res) => void res.end("ran");
  await request(server(when(() => true, plain)))
    .get("/")
    .expect(200, "ran");
  await request(server(when(async () => false, plain)))
    .get("/")
    .expect(404);
  await request(server(unless(async () => Promise.reject(new Error("no")), plain)))
    .get("/")
    .expect(500);
});

describe.each([
  ["when", when],
  ["unless", unless],
] as const)("%s refuses", (name, kind) => {
  const four = (_err: unknown, _req: unknown, _res: unknown, _next: unknown) => {};
  it.each<[string, unknown, unknown, string[]]>([
    ["no predicate", undefined, refuse, ["predicate"]],
    ["a path", "/login", refuse, ["predicate"]],
    ["no handler", () => true, undefined, ["handler"]],
    ["a list of handlers", () => true, [refuse], ["handler"]],
    ["a chain", () => true, chain(refuse), ["handler"]],
    ["an error handler", () => true, four, ["handler"]],
    ["both wrong", "/login", undefined, ["predicate", "handler"]],
  ])("%s", (_case, predicate, handler, options) => {
    expect.assertions(2);
    try {
      kind(predicate as never, handler as never);
    } catch (error) {
      expect((error as ConfigError).message).toContain(`${name}()`);
      expect((error as ConfigError).problems.map(({ option }) => option)).toEqual(options);
    }
  });
});
