import { once } from "node:events";
import { connect } from "node:net";
import { PassThrough } from "node:stream";
import express, { type ErrorRequestHandler } from "express";
import pino from "pino";
import request from "supertest";
import winston from "winston";
import { authenticate, basic } from "../../src/auth/index.js";
import { chain } from "../../src/chain/index.js";
import { requestContext } from "../../src/context/index.js";
import type { Logger } from "../../src/lib/log/logger.js";
import { notFound } from "../../src/not-found.js";
import { recover } from "../../src/recover/index.js";
import { type RequestLogOptions, requestLog } from "../../src/request-log/index.js";
import { timeout } from "../../src/timeout/index.js";
import { memoryStream } from "../request-log/memory.js";
import { type Logged, memoryLogger } from "../support/logger.js";
import { closeServers, listen, raw } from "../support/server.js";

afterEach(closeServers);

const boom = () => {
  throw new RangeError("no such luck");
};

/** The documented wiring: one logger for both. */
function appWith(logger: Logger, log: RequestLogOptions = {}, ofRecover: Logger = logger) {
  const app = express();
  app.use(requestContext({ check: false }), requestLog({ logger, ...log }));
  app.get("/boom", boom);
  app.get("/late", async () => {
    await new Promise(setImmediate);
    boom();
  });
  app.get("/begun", async (_req, res) => {
    res.write("part");
    await new Promise(setImmediate);
    boom();
  });
  app.get("/answered", (_req, res) => {
    res.send("fine");
    boom();
  });
  app.get("/client", () => {
    throw Object.assign(new Error("no such order"), { status: 404 });
  });
  app.get("/twice", () => boom());
  app.use("/twice", ((_error, _req, _res, next) => {
    next(new Error("first"));
    throw new Error("second");
  }) satisfies ErrorRequestHandler);
  app.use(recover({ logger: ofRecover }));
  return app;
}

const requestOf = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`;
const ask = async (app: express.Express, path: string) => {
  const server = await listen(app);
  return raw(server.port, requestOf(path));
};
const errors = (entries: readonly Logged[]) => entries.filter(({ fields }) => fields.error !== undefined);
const settled = () => new Promise((resolve) => setTimeout(resolve, 20));

async function until(isSo: () => boolean): Promise<void> {
  for (let i = 0; i < 200 && !isSo(); i++) await settled();
}

describe("where requestLog and recover have the same logger, a failure is one record", () => {
  const SERVER_ERRORS: [string, number][] = [
    ["/boom", 500],
    ["/late", 500],
    ["/begun", 200],
    ["/answered", 200],
  ];
  it.each(
    SERVER_ERRORS,
  )("GET %s, logged with status %i, has the stack in the request's", async (path, status) => {
    const logger = memoryLogger();
    await ask(appWith(logger), path);
    await settled();
    expect(logger.entries).toHaveLength(1);
    expect(logger.entries[0]).toMatchObject({
      level: "error",
      message: expect.stringMatching(`^GET ${path} ${status} [\\d.]+ ms RangeError: no such luck$`),
      fields: {
        status,
        path,
        requestId: expect.any(String),
        error: { type: "RangeError", message: "no such luck", stack: expect.stringMatching(/\n +at boom/) },
      },
    });
  });

  it("a client's error has no stack", async () => {
    const logger = memoryLogger();
    await ask(appWith(logger), "/client");
    expect(logger.entries).toHaveLength(1);
    expect(logger.entries[0]!.level).toBe("warn");
    expect(logger.entries[0]!.fields.error).toEqual({ type: "Error", message: "no such order" });
  });

  it("of two errors the first is in the record, and the second has its own", async () => {
    const logger = memoryLogger();
    const app = express();
    app.use(requestLog({ logger }));
    app.use(
      recover.wrap(
        (_req, _res, next) => {
          next(new Error("first"));
          throw new Error("second");
        },
        { logger },
      ),
    );
    await ask(app, "/");
    expect(logger.entries.map(({ fields }) => fields.error.message).sort()).toEqual(["first", "second"]);
    for (const { fields } of logger.entries) expect(fields.error.stack).toContain(fields.error.message);
  });

  it("the answer's own failure (a render that throws) has its own", async () => {
    const logger = memoryLogger();
    const app = express();
    app.use(requestLog({ logger }));
    app.get("/", boom);
    app.use(
      recover({
        logger,
        render: () => {
          throw new Error("no view");
        },
      }),
    );
    await ask(app, "/");
    expect(logger.entries.map(({ fields }) => fields.error.message).sort()).toEqual([
      "no such luck",
      "no view",
    ]);
  });

  it("a client that left before the error: one record, at the request's level", async () => {
    const logger = memoryLogger();
    const app = express();
    app.use(requestLog({ logger }));
    app.get("/", async (_req, res) => {
      await once(res, "close");
      boom();
    });
    app.use(recover({ logger }));
    const server = await listen(app);
    const client = connect(server.port, "127.0.0.1");
    client.write(requestOf("/"));
    await once(server.server, "request");
    client.destroy();
    await until(() => errors(logger.entries).length > 0);
    await settled();
    expect(errors(logger.entries)).toHaveLength(1);
  });

  it("in the names of each schema", async () => {
    for (const [schema, field] of [
      ["ecs", "error.stack_trace"],
      ["otel", "exception.stacktrace"],
    ] as const) {
      const logger = memoryLogger();
      await ask(appWith(logger, { schema }), "/boom");
      expect(logger.entries).toHaveLength(1);
      expect(logger.entries[0]!.fields[field]).toMatch(/^RangeError: no such luck\n +at boom/);
    }
  });

  it("recover.wrap, chain and mounted apps with it too", async () => {
    const wrapped = memoryLogger();
    const one = express();
    one.use(requestLog({ logger: wrapped }), recover.wrap(boom, { logger: wrapped }));
    await ask(one, "/");

    const chained = memoryLogger();
    const two = express();
    two.use(requestLog({ logger: chained }), chain(recover({ logger: chained })).then(boom));
    await ask(two, "/");

    const mounted = memoryLogger();
    const inner = express();
    inner.use(boom, recover({ logger: mounted }));
    const three = express();
    three.use(requestLog({ logger: mounted }));
    three.use("/inner", inner);
    await ask(three, "/inner/x");

    for (const { entries } of [wrapped, chained, mounted]) {
      expect(entries).toHaveLength(1);
      expect(entries[0]!.fields.error.stack).toContain("boom");
    }
  });

  it("also with a format of json, and as the JSON of the message", async () => {
    const logger = memoryLogger();
    await ask(appWith(logger, { format: "json" }), "/boom");
    expect(logger.entries).toHaveLength(1);
    expect(JSON.parse(logger.entries[0]!.message).error.stack).toContain("boom");
  });

  it("no record has an error for a 401, a 404 or a timeout", async () => {
    const logger = memoryLogger();
    const app = express();
    app.use(requestLog({ logger }));
    app.get("/slow", timeout(5), () => {});
    app.get("/401", authenticate(basic({ users: { ann: "x" } })));
    app.use(notFound(), recover({ logger }));
    for (const path of ["/slow", "/401", "/404"]) await ask(app, path);
    expect(logger.entries).toHaveLength(3);
    expect(errors(logger.entries)).toEqual([]);
  });

  it("a late error after a timeout has its own record, because the request's record was written before", async () => {
    const logger = memoryLogger();
    const app = express();
    app.use(requestLog({ logger }), timeout(5));
    let fail: (error: Error) => void = () => {};
    app.get("/", () => new Promise((_resolve, reject) => (fail = reject)));
    app.use(recover({ logger }));
    await ask(app, "/");
    fail(new Error("late"));
    await until(() => logger.entries.length > 1);
    expect(logger.entries.map(({ message }) => message)).toEqual([
      expect.stringMatching(/^GET \/ 503 [\d.]+ ms timed out$/),
      "request failed after it had timed out: GET /: late",
    ]);
  });

  it("with two request logs for the same logger, one of the records has the stack", async () => {
    const logger = memoryLogger();
    const app = express();
    app.use(requestLog({ logger }), requestLog({ logger, slowMs: 1_000 }));
    app.get("/", boom);
    app.use(recover({ logger }));
    await ask(app, "/");
    await settled();
    expect(logger.entries).toHaveLength(2);
    expect(logger.entries.filter(({ fields }) => fields.error.stack !== undefined)).toHaveLength(1);
  });

  it("of two request logs one that skips leaves it to the other, and both to recover", async () => {
    for (const [skips, records] of [
      [[true, false], 1],
      [[false, true], 1],
      [[true, true], 1],
    ] as const) {
      const logger = memoryLogger();
      const app = express();
      for (const skip of skips) app.use(requestLog({ logger, skip: () => skip }));
      app.get("/", boom);
      app.use(recover({ logger }));
      await ask(app, "/");
      await settled();
      expect(logger.entries).toHaveLength(records);
      expect(logger.entries[0]!.fields.error.stack).toContain("boom");
    }
  });

  it("pino and winston write it so", async () => {
    for (const make of [
      (stream: PassThrough) => pino({ messageKey: "message" }, stream),
      (stream: PassThrough) =>
        winston.createLogger({ transports: [new winston.transports.Stream({ stream })] }),
    ]) {
      const stream = new PassThrough();
      let text = "";
      stream.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      await ask(appWith(make(stream)), "/boom");
      await settled();
      const lines = text.trim().split("\n");
      expect(lines).toHaveLength(1);
      expect(JSON.parse(lines[0]!)).toMatchObject({
        message: expect.stringContaining("GET /boom 500"),
        error: { stack: expect.stringContaining("boom") },
      });
    }
  });
});

describe("recover logs the error itself, with the stack", () => {
  const expectBoth = (entries: readonly Logged[]) => {
    const own = entries.filter(({ message }) => message === "request failed: GET /boom: no such luck");
    expect(own).toHaveLength(1);
    expect(own[0]!.fields.error.stack).toContain("boom");
    for (const { fields, message } of entries) {
      if (message !== own[0]!.message) expect(fields.error?.stack).toBeUndefined();
    }
  };

  it("where the loggers are different objects, as a child of the same one is", async () => {
    const logger = memoryLogger();
    const child = { ...logger };
    await ask(appWith(logger, {}, child as Logger), "/boom");
    expect(logger.entries).toHaveLength(2);
    expectBoth(logger.entries);
  });

  it("where requestLog ignores or skips the request", async () => {
    for (const option of ["ignore", "skip"]) {
      const logger = memoryLogger();
      await ask(appWith(logger, { [option]: () => true }), "/boom");
      await settled();
      expect(logger.entries).toHaveLength(1);
      expectBoth(logger.entries);
    }
  });

  it("where requestLog writes at once, or a text format", async () => {
    for (const options of [
      { immediate: true },
      { format: "dev" },
      { format: "tiny" },
      { format: ":method :url" },
      { format: () => "mine" },
      { format: () => undefined },
    ] as const) {
      const logger = memoryLogger();
      await ask(appWith(logger, options), "/boom");
      await settled();
      expectBoth(logger.entries);
    }
  });

  it("where requestLog writes to a stream", async () => {
    const logger = memoryLogger();
    const stream = memoryStream();
    const app = express();
    app.use(requestLog({ stream, format: "json" }));
    app.get("/boom", boom);
    app.use(recover({ logger }));
    await request(app).get("/boom");
    expectBoth(logger.entries);
    expect(stream.entries[0]!.error).toEqual({ type: "RangeError", message: "no such luck" });
  });

  it("to standard error, where the logger fails at the request's record", async () => {
    const stderr = jest.spyOn(process.stderr, "write").mockReturnValue(true);
    try {
      const fail = () => {
        throw new Error("the disk is full");
      };
      await ask(appWith({ debug: fail, info: fail, warn: fail, error: fail }), "/boom");
      await settled();
      expect(stderr.mock.calls.join("")).toMatch(/request failed: GET \/boom: no such luck/);
    } finally {
      stderr.mockRestore();
    }
  });

  it("where the response has ended, and its record was written, before the error came", async () => {
    const logger = memoryLogger();
    const app = express();
    app.use(requestLog({ logger }));
    app.get("/boom", async (_req, res) => {
      res.send("fine");
      await once(res, "close");
      await new Promise(setImmediate);
      boom();
    });
    app.use(recover({ logger }));
    await ask(app, "/boom");
    await until(() => logger.entries.length > 1);
    expect(logger.entries.map(({ message }) => message)).toEqual([
      expect.stringMatching(/^GET \/boom 200 /),
      "request failed after its response had ended: GET /boom: no such luck",
    ]);
    expect(logger.entries[1]!.fields.error.stack).toContain("boom");
  });
});

describe("recover's message alone says what failed", () => {
  it("on one line, bounded, escaped", async () => {
    const stream = new PassThrough();
    let text = "";
    stream.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    const logger = winston.createLogger({
      format: winston.format.printf(({ message }) => String(message)),
      transports: [new winston.transports.Stream({ stream })],
    });
    const app = express();
    app.get("/long/*rest", () => {
      throw new Error(`two\nlines\x1b[31m\u2028 ${"x".repeat(3_000)}`);
    });
    app.use(recover({ logger }));
    await request(app).get(`/long/${"y".repeat(500)}`);
    await settled();
    const lines = text.trim().split("\n");
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^request failed: GET \/long\/y+…: two\\nlines\\u001b\[31m\\u2028 x+…$/);
    expect(lines[0]!.length).toBeLessThan(850);
  });

  it("and an error without a message by its type", async () => {
    const logger = memoryLogger();
    const app = express();
    app.get("/", () => {
      throw new TypeError();
    });
    app.use(recover({ logger }));
    await request(app).get("/");
    expect(logger.entries[0]!.message).toBe("request failed: GET /: TypeError");
  });
});
