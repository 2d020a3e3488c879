import type { RequestHandler } from "express";
import request from "supertest";
import { recover } from "../../src/recover/index.js";
import { expressVersions } from "../support/express.js";
import { memoryLogger } from "../support/logger.js";

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
  ["a wrong status and a right statusCode", Object.assign(new Error(), { status: 1, statusCode: 409 }), 409],
  ["status 599", Object.assign(new Error(), { status: 599 }), 599],
  ["an axios error", Object.assign(new Error(), { status: 401, config: {}, request: {}, response: {} }), 500],
  ["a got error", Object.assign(new Error(), { statusCode: 403, response: {} }), 500],
  ["an AWS SDK error", Object.assign(new Error(), { statusCode: 404, $metadata: {} }), 500],
  ["headers with a line break", Object.assign(new Error(), { headers: { "Retry-After": "1\r\nX: y" } }), 500],
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

  describe.each(phases)("%s", (_phase, handlerFor) => {
    it.each(values)("%s gives one answer, logged once", async (_name, value, status) => {
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
