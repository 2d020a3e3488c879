import { request as httpRequest } from "node:http";
import express, { type RequestHandler } from "express";
import request from "supertest";
import { recover } from "../../src/recover/index.js";
import { expressVersions } from "../support/express.js";
import { memoryLogger } from "../support/logger.js";
import { closeServers, listen } from "../support/server.js";
import { oneIn, SOAK } from "../support/soak.js";

describe("thrown values", () => {
  const hostile = new Proxy(
    {},
    {
      get() {
        throw new Error("do not touch");
      },
      getOwnPropertyDescriptor() {
        throw new Error("do not ask");
      },
      has() {
        throw new Error("do not ask");
      },
    },
  );

  const throwing = Object.defineProperty(new Error("x"), "status", {
    get() {
      throw new Error("getter");
    },
  });

  /** What people throw, and the status it must become. */
  const values: [string, unknown, number][] = [
    ["an Error", new Error("boom"), 500],
    ["a string", "boom", 500],
    ["a number", 42, 500],
    ["a bigint", 10n, 500],
    ["true", true, 500],
    ["a symbol", Symbol("boom"), 500],
    ["a function", () => "boom", 500],
    ["a frozen Error", Object.freeze(new Error("boom")), 500],
    ["an object without a prototype", Object.create(null), 500],
    ["a hostile Proxy", hostile, 500],
    ["an Error whose status getter throws", throwing, 500],
    ["an Error whose message is an object", Object.assign(new Error(), { message: {} }), 500],
    ["an Error that is its own cause", selfCaused(), 500],
    ["a status as a string", Object.assign(new Error(), { status: "404" }), 500],
    ["status 200", Object.assign(new Error(), { status: 200 }), 500],
    ["status 999", Object.assign(new Error(), { status: 999 }), 500],
    ["status NaN", Object.assign(new Error(), { status: Number.NaN }), 500],
    ["status 404.5", Object.assign(new Error(), { status: 404.5 }), 500],
    ["status 404", Object.assign(new Error(), { status: 404 }), 404],
    ["statusCode 418", Object.assign(new Error(), { statusCode: 418 }), 418],
    [
      "a wrong status and a right statusCode",
      Object.assign(new Error(), { status: 1, statusCode: 409 }),
      409,
    ],
    ["status 599", Object.assign(new Error(), { status: 599 }), 599],
    [
      "an axios error",
      Object.assign(new Error(), { status: 401, config: {}, request: {}, response: {} }),
      500,
    ],
    ["a got error", Object.assign(new Error(), { statusCode: 403, response: {} }), 500],
    ["an AWS SDK error", Object.assign(new Error(), { statusCode: 404, $metadata: {} }), 500],
    [
      "an exception of NestJS",
      new (class HttpException extends Error {
        readonly response = { message: "There is no such order.", statusCode: 404 };
        readonly status = 404;
        getStatus() {
          return this.status;
        }
      })(),
      404,
    ],
    [
      "headers with a line break",
      Object.assign(new Error(), { headers: { "Retry-After": "1\r\nX: y" } }),
      500,
    ],
    ["headers that throw", Object.assign(new Error(), { headers: hostile }), 500],
  ];

  /** Values that Express takes for "go on" when they are thrown synchronously or given to `next`. */
  const asyncOnly: [string, unknown, number][] = [
    ["undefined", undefined, 500],
    ["null", null, 500],
    ["0", 0, 500],
    ["an empty string", "", 500],
  ];

  function selfCaused(): Error {
    const error = new Error("round and round");
    error.cause = error;
    return error;
  }

  describe.each(expressVersions)("on %s", (version, express) => {
    const phases: [string, (value: unknown) => RequestHandler][] = [
      [
        "thrown",
        (value) => () => {
          throw value;
        },
      ],
      ["given to next", (value) => (_req, _res, next) => next(value)],
      ["given to next later", (value) => (_req, _res, next) => void setImmediate(() => next(value))],
    ];
    if (version.startsWith("Express 5")) {
      phases.push([
        "rejected",
        (value) => async () => {
          await null;
          throw value;
        },
      ]);
    }

    function app(handler: RequestHandler) {
      const logger = memoryLogger();
      const made = express();
      made.get("/", handler);
      made.get("/alive", (_req, res) => void res.send("alive"));
      made.use(recover({ logger }));
      return { made, logger };
    }

    describe.each(phases)("%s", (phase, handlerFor) => {
      // `npm test` gives each value in one way, and an Error in all of them.
      const at = phases.findIndex(([name]) => name === phase);
      const some = values.filter((_, i) => SOAK || i === 0 || i % phases.length === at);
      it.each(some)("%s gives one answer, logged once", async (_name, value, status) => {
        const { made, logger } = app(handlerFor(value));
        const res = await request(made).get("/");
        expect(res.status).toBe(status);
        expect(res.body).toMatchObject({ type: "about:blank", status, instance: "/" });
        expect(res.headers.x).toBeUndefined();
        expect(logger.entries).toHaveLength(1);
        expect(JSON.stringify(logger.entries)).toContain(`"status":${status}`);
        await request(made).get("/alive").expect(200, "alive");
      });
    });

    if (version.startsWith("Express 5")) {
      it.each(asyncOnly)("a rejection with %s is an error too", async (_name, value, status) => {
        const { made, logger } = app(async () => {
          throw value;
        });
        await request(made).get("/").expect(status);
        expect(logger.entries).toHaveLength(1);
      });
    }

    it.each([
      ["an error handler that throws", true],
      ["an error handler that passes another error on", false],
    ])("%s gives the last error's answer", async (_name, throws) => {
      const logger = memoryLogger();
      const made = express();
      made.get("/", () => {
        throw new Error("first");
      });
      made.use(((_err, _req, _res, next) => {
        const second = Object.assign(new Error("second"), { status: 503 });
        if (throws) throw second;
        next(second);
      }) as import("express").ErrorRequestHandler);
      made.use(recover({ logger }));
      await request(made).get("/").expect(503);
      expect(logger.entries.map((entry) => entry.fields.error.message)).toEqual(["second"]);
    });

    it("answers errors of param callbacks, view engines and bad escapes", async () => {
      const made = express();
      made.engine("x", (_path: string, _options: object, done: (error: unknown) => void) =>
        done(new Error("view")),
      );
      made.set("views", __dirname);
      made.set("view engine", "x");
      made.param("id", () => {
        throw new Error("param");
      });
      made.get("/item/:id", (_req, res) => void res.send("never"));
      made.get("/view", (_req, res) => res.render("missing"));
      made.use(recover({ logger: memoryLogger() }));
      await request(made).get("/item/7").expect(500);
      await request(made).get("/view").expect(500);
      await request(made).get("/item/%zz").expect(400);
    });
  });
});

describe("statuses as Express has them", () => {
  afterEach(closeServers);

  /** As `http-errors` makes them. */
  const createError = (status: number, message: string, more: object = {}) =>
    Object.assign(new Error(message), { status, statusCode: status, expose: status < 500, ...more });

  const { NODE_ENV } = process.env;
  beforeAll(() => {
    process.env.NODE_ENV = "production"; // Express's own handler would log to standard error
  });
  afterAll(() => {
    process.env.NODE_ENV = NODE_ENV;
  });

  function failing(handler: RequestHandler, options: Parameters<typeof recover>[0] = {}) {
    const app = express();
    app.set("env", "test");
    app.all("/", handler);
    app.use(recover({ logger: memoryLogger(), ...options }));
    return app;
  }

  const STATUSES = [undefined, 200, 399, 400, 404, 500, 599, 600, "404"];

  describe("the status is the same as with Express's own handler", () => {
    it("for every status on the error, its statusCode, and the response", async () => {
      const all = STATUSES.flatMap((status) =>
        STATUSES.flatMap((statusCode) =>
          [200, 304, 400, 404, 503, 599].map((set) => ({ status, statusCode, set })),
        ),
      );
      const cases = oneIn(11, all);
      const fail: RequestHandler = (req, res) => {
        const { status, statusCode, set } = cases[Number(req.headers["x-case"])]!;
        res.statusCode = set;
        throw Object.assign(new Error("x"), { status, statusCode });
      };
      const theirs = express();
      theirs.set("env", "test");
      theirs.all("/", fail);
      const [ours, express5] = [await listen(failing(fail, { close: "never" })), await listen(theirs)];
      const ask = (port: number, i: number) =>
        new Promise<number>((resolve, reject) => {
          const call = httpRequest({ port, host: "127.0.0.1", headers: { "x-case": i } }, (res) => {
            res.resume();
            resolve(res.statusCode!);
          });
          call.on("error", reject).end();
        });
      const differ: unknown[] = [];
      const compare = async (i: number) => {
        const [mine, their] = await Promise.all([ask(ours.port, i), ask(express5.port, i)]);
        if (mine !== their) differ.push({ ...cases[i], mine, their });
      };
      for (let i = 0; i < cases.length; i += 27) {
        await Promise.all(Array.from({ length: Math.min(27, cases.length - i) }, (_, k) => compare(i + k)));
      }
      expect(differ).toEqual([]);
    });

    it("also for a rejection with a string or undefined", async () => {
      for (const value of ["text", undefined, null, 0, 7]) {
        const app = failing(async (_req, res) => {
          res.status(404);
          throw value;
        });
        await request(app).get("/").expect(404);
      }
    });

    it("except for the error of an HTTP client, and the option status has priority", async () => {
      const upstream = Object.assign(new Error("x"), { status: 401, response: {} });
      const fail: RequestHandler = () => {
        throw upstream;
      };
      await request(failing(fail)).get("/").expect(500);
      const mapped: RequestHandler = (_req, res) => {
        res.status(502);
        throw upstream;
      };
      await request(failing(mapped)).get("/").expect(502);
      await request(failing(mapped, { status: () => 503 }))
        .get("/")
        .expect(503);
    });

    it("a status set before does not show a message that the error does not expose", async () => {
      const fail: RequestHandler = (_req, res) => {
        res.status(404);
        throw new Error("secret");
      };
      const answer = await request(failing(fail)).get("/").expect(404);
      expect(answer.text).not.toContain("secret");
    });

    it("an error after the head is a server error, whatever the status", async () => {
      const logger = memoryLogger();
      const app = failing(
        async (_req, res) => {
          res.status(404).write("part");
          throw new Error("x");
        },
        { logger },
      );
      await request(app)
        .get("/")
        .then(
          () => {},
          () => {},
        );
      expect(logger.entries[0]).toMatchObject({ level: "error", fields: { status: 500 } });
    });
  });

  describe("headers that a status asks for", () => {
    const BY_STATUS: [number, string, string][] = [
      [401, "WWW-Authenticate", 'Bearer realm="x"'],
      [405, "Allow", "GET, HEAD"],
      [407, "Proxy-Authenticate", 'Basic realm="x"'],
      [415, "Accept", "application/json"],
      [415, "Accept-Encoding", "identity"],
      [415, "Accept-Patch", "application/merge-patch+json"],
      [415, "Accept-Post", "application/json"],
      [416, "Content-Range", "bytes */100"],
      [426, "Upgrade", "TLS/1.3"],
      [429, "Retry-After", "5"],
      [503, "Retry-After", "5"],
    ];

    it.each(BY_STATUS)("%i keeps the %s of the error, as Express does", async (status, name, value) => {
      const fail: RequestHandler = () => {
        throw createError(status, "x", { headers: { [name]: value } });
      };
      const theirs = express();
      theirs.set("env", "test");
      theirs.all("/", fail);
      const key = name.toLowerCase();
      expect((await request(theirs).get("/")).headers[key]).toBe(value);
      const answer = await request(failing(fail)).get("/").expect(status);
      expect(answer.headers[key]).toBe(value);
      if (status === 426) expect(answer.headers.connection).toBe("Upgrade");
    });

    it.each(BY_STATUS)("%i keeps the %s that was set on the response", async (status, name, value) => {
      const answer = await request(
        failing((_req, res) => {
          res.set(name, value).status(status);
          throw new Error("x");
        }),
      ).get("/");
      expect(answer.status).toBe(status);
      expect(answer.headers[name.toLowerCase()]).toBe(value);
    });

    it("with another status they are not sent, nor are headers of a lost body", async () => {
      const answer = await request(
        failing(() => {
          throw createError(400, "x", {
            headers: { "Content-Range": "bytes */1", Upgrade: "h2c", "X-Own": "1", "Set-Cookie": "a=b" },
          });
        }),
      ).get("/");
      for (const name of ["content-range", "upgrade", "x-own", "set-cookie"]) {
        expect(answer.headers).not.toHaveProperty(name);
      }
      const partial = await request(
        failing((_req, res) => {
          res.set("Content-Range", "bytes 0-1/9");
          throw new Error("x");
        }),
      ).get("/");
      expect(partial.headers).not.toHaveProperty("content-range");
    });

    it("a range beyond the end of a file is a 416 with the file's length, with express.static", async () => {
      const app = express();
      const options = { fallthrough: false };
      app.use(express.static(`${__dirname}/../support`, options));
      app.use(recover({ logger: memoryLogger() }));
      const answer = await request(app).get("/logger.ts").set("Range", "bytes=999999-");
      expect(answer.status).toBe(416);
      expect(answer.headers["content-range"]).toMatch(/^bytes \*\/\d+$/);
    });
  });

  describe("an error's own members for its problem details", () => {
    const ask = (error: object, options = {}) =>
      request(
        failing(() => {
          throw error;
        }, options),
      ).get("/");
    const errors = [{ field: "amount", message: "must be positive" }];

    it("are those of its member problem, if the error may be shown", async () => {
      const answer = await ask(
        createError(422, "The order is not valid.", { problem: { errors, balance: 3 } }),
      );
      expect(answer.body).toEqual({
        type: "about:blank",
        title: "Unprocessable Entity",
        status: 422,
        detail: "The order is not valid.",
        instance: "/",
        errors,
        balance: 3,
      });
    });

    it("may name a type, a title and a detail, but not the status, the path or the id", async () => {
      const problem = {
        type: "https://shop.example/problems/funds",
        title: "Not enough funds",
        detail: "3 are left",
        status: 200,
        instance: "x",
        requestId: "x",
      };
      const answer = await ask(createError(403, "x", { problem }));
      expect(answer.body).toEqual({ ...problem, status: 403, instance: "/", requestId: undefined });
    });

    it.each<[string, object]>([
      ["the error may not be shown", Object.assign(new Error("x"), { status: 422, problem: { errors } })],
      ["it is a server error", createError(500, "x", { problem: { errors } })],
      [
        "it is an HTTP client's",
        Object.assign(createError(422, "x", { problem: { errors } }), { response: {} }),
      ],
      [
        "it is inherited",
        Object.assign(Object.create({ problem: { errors } }), { status: 422, expose: true }),
      ],
      ["it is no object", createError(422, "x", { problem: "NETWORK_ERROR" })],
      ["it is a list", createError(422, "x", { problem: errors })],
      ["JSON cannot say it", createError(422, "x", { problem: { errors, big: 1n } })],
      ["errors stands beside it", Object.assign(createError(422, "x"), { errors })],
    ])("are not sent where %s", async (_why, error) => {
      const answer = await ask(error);
      expect(answer.body.status).toBeGreaterThanOrEqual(422);
      expect(answer.body).not.toHaveProperty("errors");
    });
  });
});
