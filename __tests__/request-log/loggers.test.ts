import { Console } from "node:console";
import { PassThrough } from "node:stream";
import express from "express";
import pino from "pino";
import request from "supertest";
import winston from "winston";
import { background } from "../../src/background/index.js";
import { ConfigError } from "../../src/lib/config/config-error.js";
import type { Logger } from "../../src/lib/log/logger.js";
import { recover } from "../../src/recover/index.js";
import { type RequestLogOptions, requestLog } from "../../src/request-log/index.js";
import { serve } from "../../src/serve/index.js";

/** A stream and the lines that were written to it. */
function sink() {
  const stream = new PassThrough();
  let text = "";
  stream.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  const lines = () => text.split("\n").filter((line) => line !== "");
  return { stream, lines, entries: () => lines().map((line) => JSON.parse(line) as Record<string, unknown>) };
}

function makeApp(logger: Logger, options: RequestLogOptions = {}): express.Express {
  const app = express();
  app.use(requestLog({ logger, ...options }));
  app.options("/preflight", (_req, res) => void res.sendStatus(204));
  app.get("/caf%C3%A9", (_req, res) => void res.send("coffee"));
  app.get("/status/:status", (req, res) => void res.sendStatus(Number(req.params.status)));
  return app;
}

const PREFLIGHT = { Origin: "http://a.example", "Access-Control-Request-Method": "PUT" };

/** One request for each level, and a path with what some loggers take for directives. */
async function askAll(app: express.Express): Promise<void> {
  await request(app).options("/preflight").set(PREFLIGHT);
  await request(app).get("/caf%C3%A9?q=%d%s%j%o&token=secret");
  await request(app).get("/status/404");
  await request(app).get("/status/500");
}

const ASKED = [
  { level: "debug", method: "OPTIONS", path: "/preflight", status: 204 },
  { level: "info", method: "GET", path: "/caf%C3%A9", status: 200 },
  { level: "warn", method: "GET", path: "/status/404", status: 404 },
  { level: "error", method: "GET", path: "/status/500", status: 500 },
];
const MESSAGES = [
  /^OPTIONS \/preflight 204 \d+\.\d{3} ms$/,
  /^GET \/caf%C3%A9\?q=%d%s%j%o&token=REDACTED 200 \d+\.\d{3} ms$/,
  /^GET \/status\/404 404 \d+\.\d{3} ms$/,
  /^GET \/status\/500 500 \d+\.\d{3} ms$/,
];

function expectAll(entries: Record<string, unknown>[], messageKey: string): void {
  expect(entries).toHaveLength(4);
  for (const [i, entry] of entries.entries()) {
    expect(entry).toMatchObject(ASKED[i]!);
    expect(entry[messageKey]).toMatch(MESSAGES[i]!);
    expect(entry).toMatchObject({ durationMs: expect.any(Number), remoteAddress: "127.0.0.1" });
  }
}

const levels = { formatters: { level: (label: string) => ({ level: label }) } };

describe("pino", () => {
  it("gets level, fields and message, each once", async () => {
    const { stream, entries, lines } = sink();
    await askAll(makeApp(pino({ level: "debug", ...levels }, stream)));
    expectAll(entries(), "msg");
    for (const line of lines()) {
      expect(line.match(/"level":/g)).toHaveLength(1);
      expect(line.match(/"time":/g)).toHaveLength(1);
    }
  });

  it("with another messageKey has one message, in every schema", async () => {
    for (const schema of ["plain", "ecs", "otel"] as const) {
      const { stream, lines, entries } = sink();
      const logger = pino({ messageKey: "message", ...levels }, stream);
      await request(makeApp(logger, { schema })).get("/status/204");
      expect(lines()[0]!.match(/"message":/g)).toHaveLength(1);
      expect(entries()[0]!.message).toMatch(/^GET \/status\/204 204 /);
      for (const name of [
        "@timestamp",
        "timestamp",
        "body",
        "log.level",
        "severity_text",
        "severity_number",
      ]) {
        expect(entries()[0]).not.toHaveProperty([name]);
      }
    }
  });

  it("filters by its own level, and a child adds its own fields", async () => {
    const { stream, entries } = sink();
    const logger = pino({ level: "warn", ...levels }, stream).child({ service: "shop" });
    await askAll(makeApp(logger));
    expect(entries().map(({ level, service }) => [level, service])).toEqual([
      ["warn", "shop"],
      ["error", "shop"],
    ]);
  });
});

describe("winston", () => {
  const transport = (stream: PassThrough) => new winston.transports.Stream({ stream });
  const make = (stream: PassThrough, options: winston.LoggerOptions = {}) =>
    winston.createLogger({
      level: "debug",
      format: winston.format.json(),
      transports: [transport(stream)],
      ...options,
    });

  it("gets level, fields and message, each once", async () => {
    const { stream, entries } = sink();
    await askAll(makeApp(make(stream)));
    expectAll(entries(), "message");
  });

  it("with splat, which looks for directives, loses nothing", async () => {
    const { stream, entries } = sink();
    const format = winston.format.combine(winston.format.splat(), winston.format.json());
    await askAll(makeApp(make(stream, { format })));
    expectAll(entries(), "message");
  });

  it("shows the message in its text formats", async () => {
    const { stream, lines } = sink();
    const format = winston.format.printf(({ level, message }) => `${level}: ${message}`);
    await request(makeApp(make(stream, { format }))).get("/status/404");
    expect(lines()).toEqual([expect.stringMatching(/^warn: GET \/status\/404 404 \d+\.\d{3} ms$/)]);
  });

  it("has one message in every schema, and filters by its own level", async () => {
    for (const schema of ["plain", "ecs", "otel"] as const) {
      const { stream, entries } = sink();
      await askAll(makeApp(make(stream, { level: "error" }), { schema }));
      expect(entries()).toEqual([expect.objectContaining({ level: "error" })]);
      expect(entries()[0]!.message).toMatch(MESSAGES[3]!);
    }
  });

  it("may be a child, have default fields, or be winston's own logger", async () => {
    const { stream, entries } = sink();
    const child = make(stream, { defaultMeta: { service: "shop" } }).child({ part: "http" });
    await request(makeApp(child)).get("/status/404");
    expect(entries()).toEqual([
      expect.objectContaining({ service: "shop", part: "http", status: 404, level: "warn" }),
    ]);
    const own = sink();
    winston.configure({ format: winston.format.json(), transports: [transport(own.stream)] });
    await request(makeApp(winston)).get("/status/500");
    winston.configure({ transports: [] });
    expect(own.entries()).toEqual([expect.objectContaining({ status: 500, level: "error" })]);
    expect(own.entries()[0]!.message).toMatch(MESSAGES[3]!);
  });
});

describe("console", () => {
  it("prints one readable line, errors to standard error", async () => {
    const out = sink();
    const err = sink();
    const logger = new Console({ stdout: out.stream, stderr: err.stream });
    await askAll(makeApp(logger));
    expect(out.lines().concat(err.lines())).toEqual([
      expect.stringMatching(/^OPTIONS \/preflight 204 [\d.]+ ms method=OPTIONS path=\/preflight route=/),
      expect.stringMatching(
        /^GET \/caf%C3%A9\?q=%d%s%j%o&token=REDACTED 200 [\d.]+ ms method=GET path=\/caf%C3%A9 query="q=%d%s%j%o&token=REDACTED" .*status=200 .*remoteAddress=127\.0\.0\.1/,
      ),
      expect.stringMatching(/^GET \/status\/404 404 .* status=404 /),
      expect.stringMatching(/^GET \/status\/500 500 .* status=500 /),
    ]);
    expect(err.lines()).toHaveLength(2);
  });

  it("gets no character that could end the line or move the cursor", async () => {
    const { stream, lines } = sink();
    const logger = new Console({ stdout: stream, stderr: stream });
    await request(makeApp(logger)).get("/status/404").set("User-Agent", 'x\u009b31m"y z');
    expect(lines()).toHaveLength(1);
    expect(lines()[0]).toContain('userAgent="x\\u009b31m\\"y z"');
  });

  it("its methods are read at each call, because a test may replace them", async () => {
    const app = makeApp(console);
    const info = jest.spyOn(console, "info").mockImplementation(() => {});
    try {
      await request(app).get("/status/204");
      expect(info.mock.calls).toEqual([[expect.stringMatching(/^GET \/status\/204 204 .* status=204 /)]]);
    } finally {
      info.mockRestore();
    }
  });
});

it("a bunyan logger, a logger that needs its `this`, and a logger that is a function all work", async () => {
  class Bunyan {
    readonly written: unknown[] = [];
    #write(level: string, fields: object, msg: string): void {
      this.written.push({ level, ...fields, msg });
    }
    debug(fields: object, msg: string): void {
      this.#write("debug", fields, msg);
    }
    info(fields: object, msg: string): void {
      this.#write("info", fields, msg);
    }
    warn(fields: object, msg: string): void {
      this.#write("warn", fields, msg);
    }
    error(fields: object, msg: string): void {
      this.#write("error", fields, msg);
    }
  }
  const logger = new Bunyan();
  await askAll(makeApp(logger));
  expectAll(logger.written as never, "msg");
  const seen: string[] = [];
  const note = (_fields: object, message: string) => void seen.push(message);
  const callable = Object.assign(() => {}, { debug: note, info: note, warn: note, error: note });
  await request(makeApp(callable)).get("/status/204");
  expect(seen).toEqual([expect.stringMatching(/^GET \/status\/204 204 /)]);
});

it("a double with any method, and winston 2 (its log takes no object) get fields and a message", async () => {
  const called: unknown[] = [];
  const note = (name: string) => (fields: unknown, message: unknown) =>
    void called.push([name, fields, message]);
  const double = new Proxy({}, { get: (_target, name) => note(String(name)) });
  const winston2 = Object.fromEntries(
    ["configure", "startTimer", "profile", "log", "debug", "info", "warn", "error"].map((name) => [
      name,
      note(name),
    ]),
  );
  for (const logger of [double, winston2]) await request(makeApp(logger as never)).get("/status/404");
  const expected = ["warn", expect.objectContaining({ status: 404 }), expect.stringMatching(MESSAGES[2]!)];
  expect(called).toEqual([expected, expected]);
});

it.each([
  ["a console", ["table", "groupEnd", "countReset"]],
  ["winston", ["configure", "startTimer", "profile", "child", "log"]],
])("a rejection of a replaced method of %s does not end the process, and is reported", async (_what, names) => {
  const rejected: unknown[] = [];
  const note = (fault: unknown) => void rejected.push(fault);
  process.on("unhandledRejection", note);
  const told = jest.spyOn(process.stderr, "write").mockReturnValue(true);
  try {
    const reject = () => Promise.reject(new Error("far away"));
    const logger = Object.fromEntries(
      [...names, "debug", "info", "warn", "error"].map((name) => [name, reject]),
    );
    await request(makeApp(logger as never)).get("/status/404");
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(told.mock.calls.map(String).join("")).toMatch(/the option logger threw.*far away/);
  } finally {
    told.mockRestore();
    process.off("unhandledRejection", note);
  }
  expect(rejected).toEqual([]);
});

it.each([
  ["debug", { info() {}, warn() {}, error() {} }],
  ["warn", winston.createLogger({ levels: winston.config.syslog.levels, silent: true })],
])("a logger without %s is refused when the handler is made", (missing, logger) => {
  expect(() => requestLog({ logger: logger as never })).toThrow(ConfigError);
  expect(() => requestLog({ logger: logger as never })).toThrow(new RegExp(`it has no ${missing}\\b`));
});

it("slow requests are raised to warn, and the message says slow", async () => {
  const { stream, entries } = sink();
  const app = express();
  app.use(requestLog({ logger: pino(levels, stream), slowMs: 3 }));
  app.get("/slow", (_req, res) => void setTimeout(() => res.send("x"), 6));
  await request(app).get("/slow");
  expect(entries()).toEqual([
    expect.objectContaining({
      level: "warn",
      msg: expect.stringMatching(/^GET \/slow 200 \d+\.\d{3} ms slow$/),
    }),
  ]);
});

describe("every option for a logger accepts these loggers", () => {
  const winstonTo = (stream: PassThrough) =>
    winston.createLogger({
      format: winston.format.json(),
      transports: [new winston.transports.Stream({ stream })],
    });
  const boom = () => {
    throw new RangeError("100%c broken");
  };

  it("recover", async () => {
    const { stream, entries } = sink();
    const printed = sink();
    for (const logger of [
      winstonTo(stream),
      new Console({ stdout: printed.stream, stderr: printed.stream }),
    ]) {
      const app = express();
      app.get("/", boom);
      app.use(recover({ logger }));
      await request(app).get("/").expect(500);
    }
    expect(entries()).toEqual([
      expect.objectContaining({
        level: "error",
        message: "request failed: GET /: 100%c broken",
        path: "/",
        error: expect.objectContaining({ type: "RangeError", stack: expect.any(String) }),
      }),
    ]);
    expect(printed.lines().slice(0, 2)).toEqual([
      "request failed: GET /: 100%c broken method=GET path=/ status=500 remoteAddress=127.0.0.1",
      "  RangeError: 100%c broken",
    ]);
  });

  it("background", async () => {
    const { stream, entries } = sink();
    await background("mail", boom, { logger: winstonTo(stream) });
    expect(entries()).toEqual([
      expect.objectContaining({
        level: "error",
        message: "background task failed: mail: 100%c broken",
        task: "mail",
      }),
    ]);
  });

  it("serve", async () => {
    const { stream, entries } = sink();
    const served = await serve(express(), {
      port: 0,
      host: "127.0.0.1",
      signals: [],
      logger: winstonTo(stream),
    });
    served.server.emit("error", new Error("no more files"));
    await served.close();
    expect(entries()).toEqual([
      expect.objectContaining({
        level: "error",
        message: "the server failed",
        error: expect.objectContaining({ message: "no more files" }),
      }),
    ]);
  });
});
