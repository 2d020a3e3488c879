import http from "node:http";
import express, { type RequestHandler } from "express";
import request from "supertest";
import { ConfigError } from "../../src/lib/config/config-error.js";
import { recover } from "../../src/recover/index.js";
import { expressVersions } from "../support/express.js";
import { memoryLogger } from "../support/logger.js";

const failures: [string, RequestHandler][] = [
  [
    "throws",
    () => {
      throw new Error("no");
    },
  ],
  [
    "throws undefined",
    () => {
      throw undefined;
    },
  ],
  [
    "throws 'route'",
    () => {
      throw "route";
    },
  ],
  [
    "rejects",
    async () => {
      throw new Error("no");
    },
  ],
  ["rejects with undefined", () => Promise.reject(undefined)],
  ["calls next with an error", (_req, _res, next) => next(new Error("no"))],
];

describe.each(expressVersions)("recover.wrap on %s", (_version, express) => {
  it.each(failures)("answers for a handler that %s", async (_name, handler) => {
    const logger = memoryLogger();
    const app = express();
    app.use("/in", recover.wrap(handler, { logger }));
    app.use(((_err, _req, res, _next) => void res.send("outer")) as express.ErrorRequestHandler);
    const res = await request(app).get("/in/here").expect(500);
    expect(res.headers.connection).toBe("close");
    expect(res.body.instance).toBe("/in/here");
    expect(logger.entries).toHaveLength(1);
  });

  it("answers for a whole router; when the router calls next, the request goes on", async () => {
    const router = express.Router();
    router.get("/bad", () => {
      throw new Error("no");
    });
    router.get("/good", (_req, res) => void res.send("good"));
    router.get("/leave", (_req, _res, next) => next("router"));
    const app = express();
    app.use("/r", recover.wrap(router, { logger: memoryLogger() }));
    app.use((_req, res) => void res.send("went on"));
    await request(app).get("/r/bad").expect(500);
    await request(app).get("/r/good").expect(200, "good");
    await request(app).get("/r/none").expect(200, "went on");
    await request(app).get("/r/leave").expect(200, "went on");
  });
});

it("logs two errors of one request and answers the first", async () => {
  const logger = memoryLogger();
  const app = express();
  app.use(
    recover.wrap(
      (_req, _res, next) => {
        next(new Error("one"));
        throw new Error("two");
      },
      { logger },
    ),
  );
  const res = await request(app).get("/").expect(500);
  expect(res.body.detail).toContain("one");
  expect(logger.entries.map(({ fields, message }) => [fields.error.message, message])).toEqual([
    ["one", "request failed: GET /: one"],
    ["two", "request failed after its response had ended: GET /: two"],
  ]);
});

it("does not run the next handler for an error thrown after next()", async () => {
  const logger = memoryLogger();
  const app = express();
  app.use(
    recover.wrap(
      (_req, _res, next) => {
        next();
        throw new Error("after");
      },
      { logger },
    ),
  );
  app.use((_req, res) => void res.send("fine"));
  await request(app).get("/").expect(200, "fine");
  expect(logger.entries[0]?.message).toBe("request failed after its response had ended: GET /: after");
});

it("works without Express", async () => {
  const server = http.createServer(
    recover.wrap(
      () => {
        throw new Error("plain");
      },
      { logger: memoryLogger() },
    ) as unknown as http.RequestListener,
  );
  await request(server)
    .get("/x?y")
    .expect(500, /"instance":"\/x"/);
});

it("has the name recover, and the arity of a handler", () => {
  const wrapped = recover.wrap((_req, res) => void res.end());
  expect([wrapped.name, wrapped.length]).toEqual(["recover", 3]);
});

it.each([[undefined], [null], ["handler"], [{}]])("refuses %p as a handler", (handler) => {
  expect(() => recover.wrap(handler as never)).toThrow(ConfigError);
});
