import type express from "express";
import request from "supertest";
import { type RequestLogOptions, requestLog } from "../../src/request-log/index.js";
import { expressVersions } from "../support/express.js";
import { closeServers, listen, raw, until } from "../support/server.js";
import { memoryStream } from "./memory.js";

afterEach(closeServers);

const boom = () => {
  throw new Error("boom");
};
const rejecting = () => Promise.reject(new Error("boom"));

describe.each(expressVersions)("requestLog's callbacks on %s", (_version, make) => {
  let told: jest.SpyInstance;
  beforeEach(() => {
    told = jest.spyOn(process.stderr, "write").mockReturnValue(true);
  });
  afterEach(() => told.mockRestore());
  const warnings = () =>
    told.mock.calls.map(([text]) => String(text)).filter((text) => /requestLog/.test(text));

  function app(options: RequestLogOptions, handler?: express.RequestHandler) {
    const stream = memoryStream();
    const server = make();
    server.use(requestLog(options.logger ? options : { stream, ...options }));
    server.use(
      handler ??
        ((req, res) => {
          res.status(Number(req.query.status ?? 200)).send("fine");
        }),
    );
    return { stream, server };
  }

  const FAILING: [string, RequestLogOptions, number][] = [
    ["skip", { skip: boom }, 2],
    ["skip", { skip: rejecting as never }, 2],
    ["ignore", { ignore: boom }, 2],
    ["ignore", { ignore: rejecting as never }, 2],
    ["level", { level: boom }, 2],
    ["level", { level: (() => "loud") as never }, 2],
    ["level", { level: (async () => "info") as never }, 2],
    ["level", { level: rejecting as never }, 2],
    ["redact.path", { redact: { path: rejecting as never } }, 2],
    ["format", { format: boom }, 2],
    ["format", { format: (() => 5) as never }, 2],
    ["format", { format: rejecting as never }, 2],
    ["serverTiming", { serverTiming: boom }, 2],
    ["serverTiming", { serverTiming: rejecting as never }, 2],
    ["logger", { logger: { debug: boom, info: boom, warn: boom, error: boom } }, 0],
    [
      "logger",
      { logger: { debug: rejecting, info: rejecting, warn: rejecting, error: rejecting } as never },
      0,
    ],
  ];
  it.each(
    FAILING,
  )("%s fails (%j): reported once, the line is written, the request is not affected", async (name, options, lines) => {
    const { stream, server } = app(options);
    for (let i = 0; i < 2; i++) {
      const answer = await request(server).get("/").expect(200, "fine");
      expect(answer.headers).not.toHaveProperty("server-timing");
    }
    expect(stream.entries.map(({ status, level }) => [status, level])).toEqual(
      Array(lines).fill([200, "info"]),
    );
    await until(() => warnings().length > 0);
    expect(warnings()).toEqual([expect.stringContaining(`the option ${name} `)]);
  });

  it("ignore leaves a request out before any other work", async () => {
    const { stream, server } = app({ ignore: (req) => req.path === "/healthz", serverTiming: true });
    const answer = await request(server).get("/healthz");
    expect(answer.headers).not.toHaveProperty("server-timing");
    expect(stream.lines).toEqual([]);
    await request(server).get("/other");
    expect(stream.lines).toHaveLength(1);
  });

  it("skip sees the final status, 499 too", async () => {
    const seen: number[] = [];
    let arrived = false;
    const { stream, server } = app(
      {
        skip: (_req, res) => {
          seen.push(res.statusCode);
          return res.statusCode < 400;
        },
      },
      (req, res) => {
        arrived = req.path === "/never";
        if (!arrived) res.sendStatus(204);
      },
    );
    await request(server).get("/");
    const { port } = await listen(server);
    void raw(port, "GET /never HTTP/1.1\r\nHost: a\r\n\r\n", 30);
    await until(() => seen.length === 2);
    expect(seen).toEqual([204, 499]);
    expect(stream.entries.map(({ status }) => status)).toEqual([499]);
  });

  it.each([
    [200, "info"],
    [304, "info"],
    [404, "warn"],
    [429, "info"],
    [500, "error"],
    [503, "error"],
  ])("a %i is logged at %s", async (status, level) => {
    const { stream, server } = app({});
    await request(server).get(`/?status=${status}`);
    expect(stream.entries[0]!.level).toBe(level);
  });

  it("a preflight is logged at debug, another OPTIONS at info", async () => {
    const { stream, server } = app({}, (_req, res) => {
      res.sendStatus(204);
    });
    await request(server).options("/").set("Origin", "http://a").set("Access-Control-Request-Method", "PUT");
    await request(server).options("/").set("Origin", "http://a");
    expect(stream.entries.map(({ level }) => level)).toEqual(["debug", "info"]);
  });

  it("from slowMs on the level is at least warn; level has the last word", async () => {
    const slow: express.RequestHandler = (_req, res) => {
      setTimeout(() => res.sendStatus(204), 4);
    };
    const slowOne = app({ slowMs: 1 }, slow);
    await request(slowOne.server).get("/");
    expect(slowOne.stream.entries[0]!.level).toBe("warn");
    const fast = app({ slowMs: 60_000 });
    await request(fast.server).get("/");
    expect(fast.stream.entries[0]!.level).toBe("info");
    const own = app({ slowMs: 1, level: (entry) => (entry.level === "warn" ? "error" : "debug") }, slow);
    await request(own.server).get("/");
    expect(own.stream.entries[0]!.level).toBe("error");
  });
});
