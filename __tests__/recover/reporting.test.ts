import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import express, { type RequestHandler } from "express";
import request from "supertest";
import { contextOf, requestContext } from "../../src/context/index.js";
import { ConfigError } from "../../src/lib/config/config-error.js";
import { notFound } from "../../src/not-found.js";
import { AbortRequest, type RecoverOptions, recover } from "../../src/recover/index.js";
import { memoryLogger } from "../support/logger.js";
import { closeServers, listen, raw } from "../support/server.js";

describe("reporting", () => {
  function app(options: RecoverOptions, error: unknown = new Error("boom")) {
    const made = express();
    made.use(requestContext());
    made.get("/x", () => {
      throw error;
    });
    made.use(recover(options));
    return made;
  }

  let written: string[];
  beforeEach(() => {
    written = [];
    jest.spyOn(process.stderr, "write").mockImplementation((text) => {
      written.push(String(text));
      return true;
    });
  });
  afterEach(() => void jest.restoreAllMocks());

  it("logs a server error with stack, method, path, request id and peer, without the query", async () => {
    const logger = memoryLogger();
    const res = await request(app({ logger })).get("/x?token=s3cret");
    expect(logger.entries).toEqual([
      {
        level: "error",
        message: expect.stringMatching(/^request failed: GET \//),
        fields: {
          method: "GET",
          path: "/x",
          status: 500,
          requestId: res.headers["x-request-id"],
          remoteAddress: "127.0.0.1",
          error: { type: "Error", message: "boom", stack: expect.stringContaining("reporting.test") },
        },
      },
    ]);
  });

  it("logs a client's error at warn, without a stack", async () => {
    const logger = memoryLogger();
    await request(app({ logger }, Object.assign(new TypeError("bad"), { status: 400 }))).get("/x");
    expect(logger.entries).toMatchObject([
      { level: "warn", fields: { error: { type: "TypeError", message: "bad" } } },
    ]);
    expect(logger.entries[0]?.fields.error).not.toHaveProperty("stack");
  });

  it("logs the causes with their stacks", async () => {
    const logger = memoryLogger();
    await request(app({ logger }, new Error("outer", { cause: new Error("inner") }))).get("/x");
    expect(logger.entries[0]?.fields.error.stack).toMatch(/Error: outer.*caused by: Error: inner/s);
  });

  it("writes one line of JSON to standard error by default", async () => {
    await request(app({}, new Error("two\nlines\x1b[31m"))).get("/x");
    expect(written).toHaveLength(1);
    expect(written[0]).toMatch(/^[^\n\x1b]+\n$/);
    expect(JSON.parse(written[0]!)).toMatchObject({
      level: "error",
      message: expect.stringMatching(/^request failed: GET \//),
      path: "/x",
    });
  });

  it("writes a block with a readable stack on a terminal, and no control characters", async () => {
    const { isTTY } = process.stderr;
    process.stderr.isTTY = true;
    try {
      await request(app({}, new Error("red \x1b[31m\r"))).get("/x");
    } finally {
      process.stderr.isTTY = isTTY;
    }
    expect(written[0]).toMatch(
      /^error: request failed: GET \/x: red \\u001b\[31m\\u000d method=GET path=\/x status=500 .*\n {2}Error: red \\u001b\[31m\\u000d\n {6}at /,
    );
  });

  it("falls back to standard error when the logger throws, and still answers", async () => {
    const fail = () => {
      throw new Error("logger");
    };
    await request(app({ logger: { debug: fail, info: fail, warn: fail, error: fail } }))
      .get("/x")
      .expect(500);
    expect(written.join("")).toMatch(/the logger threw.*"path":"\/x"/s);
  });

  it("calls onError once, with the error itself and the request", async () => {
    const error = new Error("boom");
    const onError = jest.fn();
    await request(app({ logger: memoryLogger(), onError }, error)).get("/x");
    expect(onError).toHaveBeenCalledTimes(1);
    expect(onError.mock.calls[0][0]).toBe(error);
    expect(onError.mock.calls[0][1].path).toBe("/x");
  });

  it.each<[string, () => unknown]>([
    [
      "throws",
      () => {
        throw new Error("observer");
      },
    ],
    [
      "rejects",
      async () => {
        throw new Error("observer");
      },
    ],
  ])("reports an onError that %s once, the request untouched", async (_name, onError) => {
    const logger = memoryLogger();
    await request(app({ logger, onError })).get("/x").expect(500, /boom/);
    expect(logger.entries.map((entry) => entry.message)).toEqual([
      "request failed: GET /x: boom",
      "recover: onError threw",
    ]);
  });

  it.each([
    "status",
    "expose",
  ] as const)("reports a %s function that throws, and goes by the default", async (option) => {
    const logger = memoryLogger();
    const fail = () => {
      throw new Error("option");
    };
    await request(app({ logger, [option]: fail }))
      .get("/x")
      .expect(500);
    expect(logger.entries.map((entry) => entry.message)).toContain(`recover: the option ${option} threw`);
  });
});

describe("options", () => {
  it.each<[string, unknown, RegExp]>([
    ["options", "never", /must be an object/],
    ["options", null, /must be an object/],
    ["options", [], /must be an object/],
    ["options", () => {}, /must be an object/],
    ["loger", { loger: console }, /Did you mean "logger"/],
    ["linger", { linger: 5 }, /Did you mean "lingerMs"/],
    ["stack", { stack: false }, /options are logger, render/],
    ["logger", { logger: console.log }, /debug, info, warn and error/],
    ["logger", { logger: { info() {} } }, /no debug, warn, error/],
    ["logger", { logger: null }, /debug, info, warn and error/],
    ["render", { render: "error.html" }, /function \(problem, req, res, error\)/],
    ["status", { status: 500 }, /function of the error/],
    ["expose", { expose: true }, /function of the error/],
    ["onError", { onError: {} }, /function \(error, req\)/],
    ["close", { close: true }, /"server-errors", "always", "never"/],
    ["close", { close: "server-error" }, /Did you mean "server-errors"/],
    ["lingerMs", { lingerMs: -1 }, /milliseconds from 0 to 60000/],
    ["lingerMs", { lingerMs: "500" }, /milliseconds/],
    ["lingerMs", { lingerMs: Number.NaN }, /milliseconds/],
    ["lingerMs", { lingerMs: Number.POSITIVE_INFINITY }, /milliseconds/],
  ])("%s: %p is refused", (option, options, reason) => {
    const problem = refused(options).problems[0];
    expect(problem?.option).toBe(option);
    expect(problem?.reason).toMatch(reason);
  });

  it("names all problems at once, for wrap too", () => {
    const error = refused({ close: 1, render: 2, nope: 3 });
    expect(error.problems.map(({ option }) => option).sort()).toEqual(["close", "nope", "render"]);
    expect(() => recover.wrap(() => {}, { close: 1 } as never)).toThrow(/recover\.wrap\(\)/);
  });

  it.each([
    [undefined],
    [{}],
    [Object.create(null)],
    [{ logger: undefined, close: undefined, lingerMs: undefined }],
  ])("%p means the defaults", (options) => {
    expect(() => recover(options as never)).not.toThrow();
  });

  it("copies its options", async () => {
    const logger = memoryLogger();
    const options = { logger, status: () => 418 as number | undefined };
    const app = express();
    app.get("/", () => {
      throw new Error("no");
    });
    app.use(recover(options));
    options.status = () => 400;
    await request(app).get("/").expect(418);
  });

  it.each<[unknown, number]>([
    [418, 418],
    [undefined, 409],
    [200, 409],
    ["404", 409],
    [Number.NaN, 409],
  ])("a status function that returns %p gives %i", async (returned, status) => {
    const app = express();
    app.get("/", () => {
      throw Object.assign(new Error(), { status: 409 });
    });
    app.use(recover({ logger: memoryLogger(), status: () => returned as number }));
    await request(app).get("/").expect(status);
  });

  function refused(options: unknown): ConfigError {
    try {
      recover(options as never);
    } catch (error) {
      if (error instanceof ConfigError) return error;
      throw error;
    }
    throw new Error("was accepted");
  }
});

describe("what a review found", () => {
  const faults: unknown[] = [];
  const note = (fault: unknown) => void faults.push(fault);
  beforeAll(() => void process.on("uncaughtException", note).on("unhandledRejection", note));
  afterAll(() => void process.off("uncaughtException", note).off("unhandledRejection", note));
  afterEach(async () => {
    jest.restoreAllMocks();
    await closeServers();
    await new Promise((resolve) => setImmediate(resolve));
    expect(faults.splice(0)).toEqual([]);
  });

  const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

  function failing(fail: RequestHandler, options: RecoverOptions = {}) {
    const app = express();
    app.use(requestContext());
    app.get("/ok", (_req, res) => void res.send("ok"));
    app.use(fail);
    app.use(recover({ logger: memoryLogger(), ...options }));
    return app;
  }
  const boom: RequestHandler = () => {
    throw new Error("boom");
  };

  it("a source that is still piped into the response does not end the process", async () => {
    const app = failing((_req, res) => {
      Readable.from(["a", "b"]).pipe(res);
      throw new Error("boom");
    });
    await request(app).get("/").expect(500, /boom/);
  });

  it("wrap over a router without an outer next answers 404, and does not hang", async () => {
    for (const handler of [express(), express.Router()]) {
      const server = await listen(recover.wrap(handler as RequestHandler) as unknown as http.RequestListener);
      await request(server.url).get("/none").expect(404);
    }
  });

  it("drops a connection over a Unix socket too, which has no reset", async () => {
    const path = join(tmpdir(), `portico-${process.pid}.sock`);
    const server = http.createServer(
      failing(() => {
        throw new AbortRequest();
      }),
    );
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const outcome = await new Promise((resolve) => {
      http
        .get({ socketPath: path, path: "/" }, (res) => resolve(res.statusCode))
        .on("error", () => resolve("dropped"));
    });
    expect(outcome).toBe("dropped");
    await new Promise((resolve) => server.close(resolve));
  });

  it("renders once, however many errors there are", async () => {
    const render = jest.fn(async (_problem, _req, res) => {
      await new Promise((resolve) => setTimeout(resolve, 10));
      res.json({ rendered: true });
    });
    const app = express();
    const twice: RequestHandler = async (_req, _res, next) => {
      next(new Error("one"));
      throw new Error("two");
    };
    app.use(recover.wrap(twice, { render, logger: memoryLogger() }));
    await request(app).get("/").expect(500, { rendered: true });
    expect(render).toHaveBeenCalledTimes(1);
  });

  it("waits for a render that answers after its promise, and answers itself if render does not", async () => {
    const late: RecoverOptions["render"] = async (_problem, _req, res) =>
      void setTimeout(() => res.send("late"), 10);
    await request(failing(boom, { render: late }))
      .get("/")
      .expect(500, "late");

    const { setTimeout: real } = globalThis;
    jest
      .spyOn(globalThis, "setTimeout")
      .mockImplementation(((run: () => void, ms: number, ...rest: []) =>
        real(run, ms === 5_000 ? 5 : ms, ...rest)) as typeof setTimeout);
    await request(failing(boom, { render: async () => undefined }))
      .get("/")
      .expect(500, "500\n");
  });

  it("sends the status alone if render cannot send its file or view, and logs why", async () => {
    const logger = memoryLogger();
    const app = failing(boom, {
      logger,
      render: (_problem, _req, res) => res.sendFile("/nowhere/at/all.html"),
    });
    await request(app).get("/").expect(500, "500\n");
    expect(logger.entries.map(({ fields }) => fields.error.message)).toEqual(["boom", "Not Found"]);
  });

  it("works if callbacks return a rejecting promise instead of a value", async () => {
    const reject = () => Promise.reject(new Error("asynchronous")) as never;
    const logger = { debug: reject, info: reject, warn: reject, error: reject };
    await request(failing(boom, { logger, status: reject, expose: reject }))
      .get("/")
      .expect(500);
    const app = express();
    app.use(requestContext({ trustRequestId: reject }));
    app.get("/", (req, res) => void res.send(contextOf(req).id));
    const res = await request(app).get("/").set("X-Request-Id", "mine").expect(200);
    expect(res.text).not.toBe("mine");
  });

  it("a 404 has none of the headers of a body that never came", async () => {
    const app = express();
    app.use((_req, res, next) => {
      res.set({
        "Transfer-Encoding": "chunked",
        "Content-Encoding": "gzip",
        ETag: '"a"',
        "Content-Disposition": "attachment",
      });
      next();
    }, notFound());
    const res = await request(app).get("/").expect(404);
    for (const name of ["transfer-encoding", "content-encoding", "etag", "content-disposition"]) {
      expect(res.headers).not.toHaveProperty(name);
    }
  });

  it("logs at error if the server itself has dropped the connection", async () => {
    const logger = memoryLogger();
    const app = failing(
      (_req, res, next) => {
        const error = new Error("bug");
        res.on("error", () => {}).destroy(error);
        next(error);
      },
      { logger },
    );
    const server = await listen(app);
    await raw(server.port, GET);
    expect(logger.entries).toMatchObject([
      { level: "error", message: "request failed, and its connection had been dropped: GET /: bug" },
    ]);
  });

  it("closes the connection even if render asks to keep it: later requests on it are not processed", async () => {
    const app = failing(boom, {
      render: (problem, _req, res) => void res.set("Connection", "keep-alive").json(problem),
    });
    const server = await listen(app);
    const { text, end } = await raw(server.port, GET);
    expect(text).toContain("Connection: close\r\n");
    expect(end).toBe("fin");
  });

  it.each([
    "text/html;charset=utf-8",
    "text/html;level=1",
    "text/html;charset=utf-8, application/json;q=0.1",
  ])("Accept %s gets HTML", async (accept) => {
    const res = await request(failing(boom)).get("/").set("Accept", accept);
    expect(res.headers["content-type"]).toMatch(/^text\/html/);
  });

  it("lets Node report an invalid list of headers", async () => {
    const app = failing((_req, res) => {
      res.on("pipe", () => {});
      res.writeHead(201, ["a"]);
    });
    app.set("env", "test");
    await request(app).get("/").expect(500);
  });
});
