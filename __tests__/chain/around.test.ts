import http from "node:http";
import http2 from "node:http2";
import net, { type AddressInfo } from "node:net";
import type { Request, RequestHandler } from "express";
import request from "supertest";
import { around, chain, type Outcome, unless, when } from "../../src/chain/index.js";
import { ConfigError } from "../../src/lib/config/config-error.js";
import { AbortRequest, recover } from "../../src/recover/index.js";
import { expressVersions } from "../support/express.js";
import { memoryLogger } from "../support/logger.js";
import { closeServers, listen, raw, until } from "../support/server.js";
import { type Complaint, catchComplaints, catcher, thrower } from "./support.js";

describe("around", () => {
  let complaints: Complaint[];
  const unhandled = jest.fn();
  beforeAll(() => void process.on("unhandledRejection", unhandled));
  afterAll(() => void process.off("unhandledRejection", unhandled));
  beforeEach(() => {
    complaints = catchComplaints();
  });
  afterEach(async () => {
    await closeServers();
    await new Promise(setImmediate);
    expect(unhandled).not.toHaveBeenCalled();
    jest.restoreAllMocks();
  });

  const answer: RequestHandler = (_req, res) => void res.send("answered");

  /** A handler that keeps its outcomes. */
  function keeper() {
    const outcomes: Outcome[] = [];
    const handler = around(async function keep(_req, _res, next) {
      outcomes.push(await next());
    });
    return { outcomes, handler };
  }

  describe.each(expressVersions)("around on %s", (_version, express) => {
    const appOf = (...handlers: RequestHandler[]) => {
      const app = express();
      app.use(...handlers);
      app.use(catcher("app"));
      return app;
    };

    it.each<[string, string, RequestHandler, number]>([
      ["GET", "an answer", answer, 200],
      ["HEAD", "an answer", answer, 200],
      ["GET", "a 304", (_req, res) => void res.status(304).end(), 304],
      ["GET", "a stream", (_req, res) => void res.write("a", () => res.end("b")), 200],
      ["GET", "a 404 of its own", (_req, res) => void res.sendStatus(404), 404],
    ])("%s: the outcome of %s comes once", async (method, _name, handler, status) => {
      const { outcomes, handler: keep } = keeper();
      await request(appOf(keep, handler))[method.toLowerCase() as "get"]("/").expect(status);
      await until(() => outcomes.length > 0);
      expect(outcomes).toEqual([{ status, aborted: false, durationMs: expect.any(Number) }]);
      expect(outcomes[0]!.durationMs).toBeGreaterThan(0);
      expect(outcomes[0]!.durationMs).toBeLessThan(5_000);
    });

    it("code after next() runs after the response has ended, in the reverse order of mounting", async () => {
      const order: string[] = [];
      const ring = (name: string) =>
        around(async (_req, res, next) => {
          order.push(`${name} down`);
          await next();
          order.push(`${name} up ${res.writableFinished}`);
        });
      const app = appOf(ring("a"), ring("b"), chain(ring("c"), ring("d")).then(answer));
      await request(app).get("/").expect(200);
      await until(() => order.length === 8);
      expect(order).toEqual([
        ..."abcd".split("").map((name) => `${name} down`),
        ..."dcba".split("").map((name) => `${name} up true`),
      ]);
    });

    it("before next() it is like any async handler: it may wait, and it may answer", async () => {
      const app = appOf(
        around(async (req, res, next) => {
          await new Promise(setImmediate);
          if (req.path === "/stop") res.status(403).end();
          else await next();
        }),
        answer,
      );
      await request(app).get("/stop").expect(403);
      await request(app).get("/").expect(200, "answered");
    });

    it("may be a plain function that uses the promise", async () => {
      const statuses: number[] = [];
      const app = appOf(
        around((_req, _res, next) => void next().then(({ status }) => statuses.push(status))),
        answer,
      );
      await request(app).get("/");
      await until(() => statuses.length > 0);
      expect(statuses).toEqual([200]);
    });

    describe("error", () => {
      const boom = new Error("boom");

      it.each<[string, (keep: RequestHandler) => ReturnType<typeof express>, number]>([
        [
          "that recover answered",
          (keep) => {
            const app = express();
            app.use(keep, thrower(boom));
            return app.use(recover({ logger: memoryLogger() }));
          },
          500,
        ],
        [
          "that an error handler of a chain answered",
          (keep) => appOf(chain(keep, catcher("chain")).then(thrower(boom))),
          500,
        ],
        [
          "that a chain passed on",
          (keep) => appOf(keep, chain((_q, _s, next) => next()).then(thrower(boom))),
          500,
        ],
        [
          "that became another one in the chain",
          (keep) =>
            appOf(
              chain(keep, catcher("c"), (_e, _q, _s, next) => next(new Error("other"))).then(thrower(boom)),
            ),
          500,
        ],
        ["that it passed on itself", () => appOf(passing), 500],
      ])("is the one %s", async (_name, make, status) => {
        const { outcomes, handler } = keeper();
        passing = around(async (_req, _res, next) => void outcomes.push(await next(boom)));
        await request(make(handler)).get("/").expect(status);
        await until(() => outcomes.length > 0);
        expect(outcomes).toEqual([{ status, aborted: false, error: boom, durationMs: expect.any(Number) }]);
      });
      let passing: RequestHandler;

      it("the property is absent if only Express saw the error", async () => {
        const { outcomes, handler } = keeper();
        await request(appOf(handler, thrower(boom)))
          .get("/")
          .expect(500);
        await until(() => outcomes.length > 0);
        expect(outcomes[0]).not.toHaveProperty("error");
      });

      it("the property is present if undefined was thrown", async () => {
        const { outcomes, handler } = keeper();
        const app = express().use(handler, recover.wrap(thrower(undefined), { logger: memoryLogger() }));
        await request(app).get("/").expect(500);
        await until(() => outcomes.length > 0);
        expect(outcomes[0]).toHaveProperty("error", undefined);
      });
    });

    it.each<[string, RequestHandler, string]>([
      ["throws", around(thrower(new Error("no")) as never), "no"],
      [
        "throws undefined",
        around(thrower(undefined) as never),
        "a value that is not an Error was thrown: undefined",
      ],
      ["rejects", around(async () => Promise.reject(new Error("no"))), "no"],
      ["rejects with undefined", around(() => Promise.reject()), "Rejected promise"],
      [
        "rejects with 'route'",
        around(() => Promise.reject("route")),
        "a value that is not an Error was thrown: string route",
      ],
    ])("a function that %s before next(): the error handler is called once", async (_name, handler, message) => {
      const never = jest.fn(answer);
      await request(appOf(handler, never)).get("/").expect(500, `app: ${message}`);
      expect(never).not.toHaveBeenCalled();
      expect(complaints).toEqual([]);
    });

    it.each<[string, RequestHandler]>([
      [
        "rejects after next()",
        around(async function fails(_req, _res, next) {
          await next();
          throw new Error("too late");
        }),
      ],
      [
        "rejects without waiting for the response",
        around(async function fails(_req, _res, next) {
          next();
          throw new Error("too late");
        }),
      ],
      [
        "throws after next()",
        around(function fails(_req, _res, next) {
          next();
          throw new Error("too late");
        }),
      ],
    ])("a function that %s is logged once, and the request is not changed", async (_name, handler) => {
      const slowly: RequestHandler = (_req, res) => void setImmediate(() => res.send("answered"));
      await request(appOf(handler, slowly)).get("/").expect(200, "answered");
      await until(() => complaints.length > 0);
      expect(complaints).toEqual([
        {
          level: "error",
          message: "around(fails) failed after it had called next()",
          fields: { method: "GET", path: "/", error: expect.objectContaining({ message: "too late" }) },
        },
      ]);
    });

    it("a second next() is ignored and logged once, and returns the same promise", async () => {
      const promises: Promise<Outcome>[] = [];
      const counted = jest.fn(answer);
      const app = appOf(
        around(function twice(_req, _res, next) {
          promises.push(next(), next(), next(new Error("no")));
        }),
        counted,
      );
      await request(app).get("/").expect(200);
      expect(counted).toHaveBeenCalledTimes(1);
      expect(new Set(promises).size).toBe(1);
      expect(complaints.map(({ level, message }) => [level, message])).toEqual([
        ["warn", "around(twice) called next() again; the call was ignored"],
      ]);
    });

    it("next('route') is passed on, and the outcome comes", async () => {
      const outcomes: Outcome[] = [];
      const app = express();
      app.get(
        "/",
        around(async (_req, _res, next) => void outcomes.push(await next("route"))),
        thrower("never"),
      );
      app.get("/", answer);
      await request(app).get("/").expect(200, "answered");
      await until(() => outcomes.length > 0);
      expect(outcomes[0]).toMatchObject({ status: 200, aborted: false });
    });

    it("next() after the client has left or the response has ended has an outcome too", async () => {
      const { outcomes, handler } = keeper();
      const app = express();
      app.use((_req, res, next) => void res.once("close", next).end("early"), handler);
      app.use(() => {});
      await request(app).get("/").expect(200);
      await until(() => outcomes.length > 0);
      expect(outcomes[0]).toMatchObject({ status: 200, aborted: false });
    });

    it.each<[string, RequestHandler, boolean, Partial<Outcome>]>([
      ["leaves before the head", () => {}, true, { status: 499, aborted: true }],
      ["leaves in the middle", (_req, res) => void res.write("begun"), true, { status: 200, aborted: true }],
      ["is dropped", (req) => void req.socket.destroy(), false, { status: 444, aborted: false }],
    ])("a client that %s: %o", async (_name, handler, leaves, expected) => {
      const { outcomes, handler: keep } = keeper();
      let arrived = false;
      const app = appOf(keep, (req, res, next) => {
        handler(req, res, next);
        arrived = true;
      });
      const { port } = await listen(app);
      const socket = net.connect(port, "127.0.0.1").on("error", () => {});
      socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      await until(() => arrived);
      if (leaves) socket.destroy();
      await until(() => outcomes.length > 0);
      socket.destroy();
      expect(outcomes).toEqual([{ ...expected, durationMs: expect.any(Number) }]);
    });

    it("the outcome of a request that was dropped on purpose has its error", async () => {
      const { outcomes, handler } = keeper();
      const app = appOf(
        chain(recover({ logger: memoryLogger() }), handler).then(thrower(new AbortRequest())),
      );
      const { port } = await listen(app);
      await raw(port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      await until(() => outcomes.length > 0);
      expect(outcomes[0]).toMatchObject({ status: 500, aborted: false, error: { name: "AbortRequest" } });
    });
  });

  it("works on HTTP/2, aborts included", async () => {
    const { outcomes, handler } = keeper();
    const chained = chain(handler).then((req, res) => {
      if (req.url === "/whole") res.end("hello");
      else client.emit("arrived");
    });
    const server = http2.createServer((req, res) => chained(req as never, res as never, () => {}));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const client = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    client.request({ ":path": "/whole" }).resume();
    await until(() => outcomes.length === 1);
    const leaving = client.request({ ":path": "/never" }).on("error", () => {});
    client.once("arrived", () => leaving.close(http2.constants.NGHTTP2_CANCEL));
    await until(() => outcomes.length === 2);
    client.destroy();
    await new Promise((resolve) => server.close(resolve));
    expect(outcomes).toEqual([
      { status: 200, aborted: false, durationMs: expect.any(Number) },
      { status: 499, aborted: true, durationMs: expect.any(Number) },
    ]);
  });

  it("without a next, it answers by itself", async () => {
    const handler = around(async (_req, _res, next) => void (await next()));
    const server = http.createServer((req, res) => handler(req as never, res as never, undefined as never));
    await request(server).get("/").expect(404);
  });

  it("its name contains that of its function", () => {
    const named = around(async function transaction(_req, _res, next) {
      await next();
    });
    const anonymous = around(async (_req, _res, next) => void (await next()));
    expect([named.name, anonymous.name, named.length]).toEqual(["around(transaction)", "around", 3]);
  });

  it.each([[undefined], [null], ["fn"], [{}]])("refuses %p", (value) => {
    expect(() => around(value as never)).toThrow(ConfigError);
  });
});

describe("guards", () => {
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
});
