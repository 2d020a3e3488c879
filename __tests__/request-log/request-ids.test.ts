import { PassThrough } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import express from "express";
import log4js from "log4js";
import pino from "pino";
import request from "supertest";
import winston from "winston";
import { contextOf, currentContext, requestContext } from "../../src/context/index.js";
import { recover } from "../../src/recover/index.js";
import { requestLog } from "../../src/request-log/index.js";

function sink() {
  const stream = new PassThrough();
  let text = "";
  stream.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  const lines = () => text.split("\n").filter((line) => line !== "");
  return { stream, lines };
}

type AppLogger = Parameters<typeof requestLog>[0] extends infer T ? NonNullable<T> : never;

/** Two requests at once, each with an own line of the app before and after a pause, and a failure. */
async function idsOf(logger: NonNullable<AppLogger["logger"]>, say: (text: string) => void) {
  const app = express();
  app.use(requestContext({ check: false }), requestLog({ logger }));
  const far = async (name: string) => {
    say(`before ${name}`);
    await sleep(2);
    say(`after ${name}`);
  };
  app.get("/boom", () => {
    throw new Error("no such luck");
  });
  app.get("/:name", async (req, res) => {
    await far(req.params.name);
    res.send("x");
  });
  app.use(recover({ logger }));
  const answers = await Promise.all(["/a", "/b", "/boom"].map((path) => request(app).get(path)));
  await sleep(20);
  return answers.map((answer) => answer.headers["x-request-id"] as string);
}

describe("the app's own lines have the id of their request", () => {
  it("pino, by a mixin", async () => {
    const { stream, lines } = sink();
    const logger = pino({ mixin: () => ({ requestId: currentContext()?.id }) }, stream);
    logger.info("outside");
    const [a, b, boom] = await idsOf(logger, (text) => logger.info(text));
    const entries = lines().map((line) => JSON.parse(line) as { msg: string; requestId?: string });
    const idOf = (start: string) =>
      entries.filter(({ msg }) => msg.startsWith(start)).map(({ requestId }) => requestId);
    expect([idOf("before a"), idOf("after a"), idOf("GET /a ")]).toEqual([[a], [a], [a]]);
    expect([idOf("before b"), idOf("after b"), idOf("GET /b ")]).toEqual([[b], [b], [b]]);
    expect([idOf("GET /boom "), idOf("outside"), entries.length]).toEqual([[boom], [undefined], 8]);
    for (const line of lines()) expect(line.match(/"requestId"/g)?.length ?? 0).toBeLessThan(2);
  });

  it("winston, by a format", async () => {
    const { stream, lines } = sink();
    const withId = winston.format((info) => ({ requestId: currentContext()?.id, ...info }));
    const logger = winston.createLogger({
      format: winston.format.combine(withId(), winston.format.json()),
      transports: [new winston.transports.Stream({ stream })],
    });
    const [a, b, boom] = await idsOf(logger, (text) => void logger.info(text));
    const entries = lines().map((line) => JSON.parse(line) as { message: string; requestId?: string });
    expect(entries).toHaveLength(7);
    for (const { message, requestId } of entries) {
      const expected = / a$|\/a /.test(message) ? a : / b$|\/b /.test(message) ? b : boom;
      expect([message, requestId]).toEqual([message, expected]);
    }
  });

  it("a child for each request", async () => {
    const { stream, lines } = sink();
    const logger = pino(stream);
    const app = express();
    app.use(requestContext({ check: false }));
    app.get("/", (req, res) => {
      logger.child({ requestId: contextOf(req).id }).info("mine");
      res.send("x");
    });
    const answer = await request(app).get("/");
    expect(JSON.parse(lines()[0]!)).toMatchObject({ msg: "mine", requestId: answer.headers["x-request-id"] });
  });
});

describe("log4js", () => {
  const events: log4js.LoggingEvent[] = [];
  const texts: string[] = [];
  beforeAll(() => {
    const memory = {
      configure: (
        _config: unknown,
        layouts: { layout(type: string, config: object): (event: object) => string },
      ) => {
        const tokens = { id: () => currentContext()?.id ?? "-" };
        const print = layouts.layout("pattern", { type: "pattern", pattern: "%p [%x{id}] %m", tokens });
        return (event: log4js.LoggingEvent) => {
          events.push(event);
          texts.push(print(event));
        };
      },
    };
    log4js.configure({
      appenders: { memory: { type: memory as never } },
      categories: { default: { appenders: ["memory"], level: "debug" } },
    });
  });
  beforeEach(() => {
    events.length = texts.length = 0;
  });
  afterAll(() => new Promise<void>((resolve) => log4js.shutdown(() => resolve())));

  it("gets level, fields and message; the app's own lines have the id by a token of the layout", async () => {
    const logger = log4js.getLogger();
    const [a, b, boom] = await idsOf(logger, (text) => logger.info(text));
    const lineOf = (part: string) => texts.filter((text) => text.includes(part));
    for (const [id, name] of [
      [a, "a"],
      [b, "b"],
    ]) {
      expect(lineOf(`before ${name}`)).toEqual([`INFO [${id}] before ${name}`]);
      expect(lineOf(`after ${name}`)).toEqual([`INFO [${id}] after ${name}`]);
      expect(lineOf(`GET /${name} `)[0]).toMatch(
        new RegExp(
          `^INFO \\[${id}\\] GET /${name} 200 [\\d.]+ ms requestId=${id} .*method=GET path=/${name} .*status=200`,
        ),
      );
    }
    expect(lineOf("GET /boom ")[0]).toMatch(
      new RegExp(
        `^ERROR \\[${boom}\\] GET /boom 500 [^\\n]*no such luck [^\\n]*status=500[^\\n]*\\n  Error: no such luck\\n      at `,
      ),
    );
    expect(events).toHaveLength(7);
    const data = events.find(({ data: [one] }) => (one as { path?: string }).path === "/boom")!
      .data[0] as object;
    expect(JSON.parse(JSON.stringify(data))).toMatchObject({
      message: expect.stringMatching(/^GET \/boom 500/),
      status: 500,
      error: { stack: expect.any(String) },
    });
  });

  it("a path that looks like directives or has line feeds stays on one line", async () => {
    const logger = log4js.getLogger();
    const app = express();
    app.use(requestLog({ logger, headers: ["x-a"] }));
    await request(app).get("/%c%s%d%0d%0a%j").set("x-a", "caf\u00e9 %s");
    expect(texts).toHaveLength(1);
    expect(texts[0]).toMatch(/^WARN \[-\] GET \/%c%s%d%0d%0a%j 404 [^\n]*$/);
  });

  it("filters by its own level", async () => {
    const logger = log4js.getLogger("quiet");
    logger.level = "error";
    const app = express();
    app.use(requestLog({ logger }));
    await request(app).get("/x");
    expect(texts).toEqual([]);
  });
});
