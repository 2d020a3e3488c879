import type { IncomingMessage } from "node:http";
import express from "express";
import fc from "fast-check";
import morgan from "morgan";
import request from "supertest";
import { redactQuery, redactUrl, secretNames } from "../../src/lib/log/redact.js";
import { stateOf } from "../../src/lib/request/state.js";
import { recover } from "../../src/recover/index.js";
import { escapeLine, escapeValue, escapeWord, jsonString, shorten } from "../../src/request-log/escape.js";
import { jsonLine } from "../../src/request-log/formats/index.js";
import { type RequestLogOptions, requestLog } from "../../src/request-log/index.js";
import { cpuMs } from "../support/cpu.js";
import { expressVersions } from "../support/express.js";
import { memoryLogger } from "../support/logger.js";
import { closeServers, listen, raw, until } from "../support/server.js";
import { oneIn, SOAK } from "../support/soak.js";
import { anyText } from "../support/text.js";
import { memoryStream } from "./memory.js";

afterEach(closeServers);

describe("redaction", () => {
  const SECRET = "s3cr3t";

  const FORMATS: [string, RequestLogOptions][] = [
    [
      "json",
      { format: "json", headers: ["authorization", "Cookie", "x-api-key", "location", "referer", "x-a"] },
    ],
    ["ecs", { schema: "ecs" }],
    ["otel", { schema: "otel", headers: ["authorization", "proxy-authorization", "dpop"] }],
    ["dev", { format: "dev" }],
    ["combined", { format: "combined" }],
    [
      "tokens",
      {
        format:
          ":url :referrer :req[authorization] :req[Cookie] :req[x-api-key] :req[DPoP] :req[proxy-authorization] :req[referer] :res[set-cookie] :res[location]",
      },
    ],
  ];

  it.each([
    ["short", `{"a": ${SECRET}}`],
    ["long", `{"a": "${"x".repeat(100)}", "b": ${SECRET}, "c": "${"x".repeat(100)}"}`],
    ["of two lines", `{"a":\n${SECRET}}`],
  ])("a body that is not JSON, %s: no log quotes it", async (_name, body) => {
    const logger = memoryLogger();
    for (const [, options] of [...FORMATS, ["logger", { logger }] as [string, RequestLogOptions]]) {
      const stream = memoryStream();
      const app = express();
      app.use(requestLog("logger" in options ? options : { ...options, stream }));
      app.use(express.json());
      app.use(recover({ logger }));
      await request(app).post("/").type("json").send(body).expect(400);
      await until(() => "logger" in options || stream.lines.length === 1);
      expect(stream.lines.join()).not.toContain(SECRET);
    }
    const messages = JSON.stringify(logger.entries);
    expect(messages).toContain("is not valid JSON"); // what is wrong is still said
    expect(messages).not.toContain(SECRET);
  });

  const QUERIES: [string, string, string][] = [
    ["access_token", `a=1&access_token=${SECRET}&b=2`, "a=1&access_token=REDACTED&b=2"],
    [
      "what OAuth and OpenID Connect send",
      `id_token=${SECRET}&refresh_token=${SECRET}&client_secret=${SECRET}&jwt=${SECRET}&secret=${SECRET}&apikey=${SECRET}`,
      "id_token=REDACTED&refresh_token=REDACTED&client_secret=REDACTED&jwt=REDACTED&secret=REDACTED&apikey=REDACTED",
    ],
    ["a name in another case", `Password=${SECRET}`, "Password=REDACTED"],
    ["a percent-encoded name", `%61ccess%5Ftoken=${SECRET}`, "%61ccess%5Ftoken=REDACTED"],
    [
      "a malformed escape beside it",
      `%=1&a=%zz&t%6fken=${SECRET}&%E0%A4%A=1`,
      "%=1&a=%zz&t%6fken=REDACTED&%E0%A4%A=1",
    ],
    ["a malformed escape in it", `%E0[token]=${SECRET}`, "%E0[token]=REDACTED"],
    [
      "a nested name",
      `user[password]=${SECRET}&token[]=${SECRET}`,
      "user[password]=REDACTED&token[]=REDACTED",
    ],
    ["a value with more equal signs", `code=${SECRET}==&x`, "code=REDACTED&x"],
    ["a value with a question mark", `token=a?${SECRET}`, "token=REDACTED"],
    ["a second question mark", `a=1?token=${SECRET}`, "a=1?token=REDACTED"],
    [
      "a presigned link",
      `X-Amz-Signature=${SECRET}&X-Goog-Signature=${SECRET}&sig=${SECRET}`,
      "X-Amz-Signature=REDACTED&X-Goog-Signature=REDACTED&sig=REDACTED",
    ],
    ["a name of one's own", `SESSION=${SECRET}`, "SESSION=REDACTED"],
    ["an empty value", "token=&a", "token=REDACTED&a"],
  ];

  describe("secrets", () => {
    it.each(QUERIES)("%s: the value is replaced, names and order stay", (_what, query, expected) => {
      expect(redactQuery(query, secretNames(["session"]))).toBe(expected);
    });

    describe.each(FORMATS)("in %s", (name, options) => {
      // `npm test` has each query in two of the formats.
      const at = FORMATS.findIndex(([format]) => format === name);
      const some = QUERIES.filter((_, i) => SOAK || i % 3 === at % 3);
      it.each(some)("%s does not get into a line, nor from the referrer", async (_what, query) => {
        const stream = memoryStream();
        const app = express();
        app.use(requestLog({ stream, redact: { query: ["session"] }, ...options }));
        app.use((_req, res) => {
          res.setHeader("Set-Cookie", `id=${SECRET}`);
          res.setHeader("Location", `/next?${query}`);
          res.setHeader("Connection", "close");
          res.send("x");
        });
        const { port } = await listen(app);
        const head = [
          `GET /hello?${query} HTTP/1.1`,
          "Host: a",
          `Referer: https://u:${SECRET}@a.example/b?${query}#token=${SECRET}`,
          ...["Authorization: Bearer", "Proxy-Authorization: Basic", "Cookie: a=", "X-Api-Key:", "DPoP:"].map(
            (start) => `${start} ${SECRET}`,
          ),
        ];
        await raw(port, `${head.join("\r\n")}\r\n\r\n`);
        await until(() => stream.lines.length > 0);
        expect(stream.lines[0]).toContain("/hello");
        expect(stream.lines[0]).not.toContain(SECRET);
      });

      it.each(
        oneIn(at % 2 === 0 ? 1 : 3, [
          `/hello#token=${SECRET}`,
          `/hello?a=1#access_token=${SECRET}&b`,
          `/hello#${SECRET}?token=${SECRET}`,
          `http://a/hello#token=${SECRET}`,
        ]),
      )("the fragment of the target %s does not get into a line, nor that of a referrer", async (target) => {
        const stream = memoryStream();
        const app = express();
        app.use(requestLog({ stream, ...options }));
        app.use((_req, res) => void res.set("Connection", "close").send("x"));
        const { port } = await listen(app);
        await raw(
          port,
          `GET ${target} HTTP/1.1\r\nHost: a\r\nReferer: https://a.example/b#token=${SECRET}\r\n\r\n`,
        );
        await until(() => stream.lines.length > 0);
        expect(stream.lines[0]).toContain("/hello");
        expect(stream.lines[0]).not.toContain(SECRET);
      });
    });

    it("headers are logged by their names only, secret ones never", async () => {
      const stream = memoryStream();
      const app = express();
      app.use(requestLog({ stream, headers: "X-A, Authorization, x-none" }));
      await request(app).get("/").set("X-A", "1").set("X-B", "2").set("Authorization", SECRET);
      expect(stream.entries[0]!.headers).toEqual({ "x-a": "1", authorization: "REDACTED" });
    });

    it("in a path are redacted by redact.path, for the request, the target of text formats and the referrer", async () => {
      const stream = memoryStream();
      const app = express();
      const path = (text: string) => text.replace(/\/reset\/[^/]+/, "/reset/:key");
      const redact = { path };
      app.use(requestLog({ stream, redact }), requestLog({ stream, redact, format: ":url :referrer" }));
      await request(app).get(`/reset/${SECRET}?a=1`).set("Referer", `http://h/reset/${SECRET}/x?token=1`);
      expect(stream.lines[0]).toBe("/reset/:key?a=1 http://h/reset/:key/x?token=REDACTED");
      expect(stream.lines[1]).not.toContain(SECRET);
    });

    it.each([
      () => {
        throw new Error("x");
      },
      () => undefined,
      async () => "/x",
    ])("if redact.path fails, nothing of the path is logged, and the fault is reported once", async (path) => {
      const told = jest.spyOn(process.stderr, "write").mockReturnValue(true);
      try {
        const stream = memoryStream();
        const app = express();
        app.use(requestLog({ stream, redact: { path: path as never } }));
        await request(app).get(`/reset/${SECRET}`);
        await request(app).get(`/reset/${SECRET}`);
        expect(stream.entries.map((entry) => entry.path)).toEqual(["/REDACTED", "/REDACTED"]);
        expect(told.mock.calls.filter(([text]) => String(text).includes("redact.path"))).toHaveLength(1);
      } finally {
        told.mockRestore();
      }
    });

    it("userinfo is removed from any URL", () => {
      const names = secretNames();
      expect(redactUrl("http://u:p@h/x", names)).toBe("http://h/x");
      expect(redactUrl("http://u:p@q@h", names)).toBe("http://h");
      expect(redactUrl("//u:p@h/a@b", names)).toBe("//h/a@b");
      expect(redactUrl("/a@b//c@d", names)).toBe("/a@b//d");
      expect(redactUrl("about:blank", names)).toBe("about:blank");
    });

    it("are replaced in linear time", () => {
      const names = secretNames();
      const started = cpuMs();
      for (const part of ["a", "a=", "?a=", "&", "%61", "[", "token=?", "@", "//", "#"]) {
        redactUrl(`http://h/?x=1&${part.repeat(50_000)}`, names);
      }
      expect(cpuMs() - started).toBeLessThan(1_000);
    });

    it("never throws, and keeps every name and its order", () => {
      const names = secretNames();
      const keys = (query: string) => query.split("&").map((pair) => pair.split("=", 1)[0]);
      fc.assert(
        fc.property(fc.string({ unit: fc.constantFrom(..."ab%2&=?[]token+code5F#".split("")) }), (query) => {
          expect(() => redactUrl(query, names)).not.toThrow();
          if (/[?#]/.test(query)) return;
          expect(keys(redactQuery(query, names))).toEqual(keys(query));
        }),
      );
    });

    it("the value of a secret name is always replaced, however the name is encoded (a naive decoder agrees)", () => {
      const names = secretNames();
      const encode = (name: string, mask: boolean[]) =>
        [...name].map((c, i) => (mask[i] ? `%${c.charCodeAt(0).toString(16)}` : c)).join("");
      fc.assert(
        fc.property(
          fc.constantFrom("token", "code", "api_key", "Signature"),
          fc.array(fc.boolean(), { minLength: 9, maxLength: 9 }),
          fc.array(fc.tuple(fc.stringMatching(/^[a-c]{1,3}$/), fc.stringMatching(/^[a-z%]{0,4}$/))),
          (name, mask, others) => {
            const pairs = others.map(([key, value]) => `${key}=${value}`);
            const query = [...pairs, `${encode(name, mask)}=${SECRET}`, ...pairs].join("&");
            const redacted = redactQuery(query, names);
            expect(redacted).not.toContain(SECRET);
            expect(new URLSearchParams(redacted).get(name)).toBe("REDACTED");
            expect(redacted.split("&").filter((pair) => !pair.endsWith("REDACTED"))).toEqual([
              ...pairs,
              ...pairs,
            ]);
          },
        ),
      );
    });
  });
});

describe("injection", () => {
  const FORBIDDEN = /[\x00-\x1f\x7f-\x9f\u2028\u2029\p{Bidi_Control}]/u;
  const EVIL_USER = 'evil\r\n1.2.3.4 - admin\x1b[31m "\u2028\u202e\u200e\u200f\u061c';

  morgan.token("portico-user", (req) => String((req as IncomingMessage & { user?: string }).user));
  morgan.token("portico-params", (req) => JSON.stringify((req as express.Request).params));

  const FORMATS: [string, RequestLogOptions][] = [
    ["json", { format: "json", headers: ["x-a"] }],
    ["ecs", { schema: "ecs" }],
    ["otel", { schema: "otel", headers: ["x-a"] }],
    ["dev", { format: "dev" }],
    ["combined", { format: "combined" }],
    [
      "tokens",
      { format: ':portico-user ":portico-params" ":req[x-forwarded-for]" :remote-addr ":req[x-a]"' },
    ],
    [
      "function",
      { format: (entry) => `${entry.user} ${entry.userAgent} ${entry.path} ${entry.remoteAddress}` },
    ],
  ];

  /** What a client may send, byte for byte. */
  const REQUESTS: [string, string][] = [
    ["a quote and a backslash in User-Agent", 'GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: x"y\\z\r\n\r\n'],
    ["C1 controls and bytes over 127", "GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: \x9b31m\x85new\xe9\r\n\r\n"],
    ["a tab in Referer", 'GET / HTTP/1.1\r\nHost: a\r\nReferer: http://a/"\t\x9d<x>\r\n\r\n'],
    ["encoded line feeds in the target", "GET /%0d%0a1.2.3.4%20-?a=%0a%1b HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["raw quotes in the target", 'GET /"\\|?a="b\\ HTTP/1.1\r\nHost: a\r\n\r\n'],
    ["a spoofed X-Forwarded-For", 'GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: evil"\t<x>\r\n\r\n'],
    ["a header that is logged", 'GET / HTTP/1.1\r\nHost: a\r\nX-A: \x85\x9c"\\\r\nX-A: two\r\n\r\n'],
    ["an odd Host", 'GET / HTTP/1.1\r\nHost: "a\\\x9b\r\n\r\n'],
  ];

  describe("a client cannot add lines to the log", () => {
    describe.each(FORMATS)("in %s", (name, options) => {
      it.each(REQUESTS)("%s", async (_what, text) => {
        const stream = memoryStream();
        const app = express();
        app.set("trust proxy", true);
        app.use(requestLog({ stream, ...options }));
        app.get("/:id?".replace("?", ""), respond);
        app.use(respond);
        function respond(req: express.Request, res: express.Response) {
          (req as unknown as { user: string }).user = EVIL_USER;
          stateOf(req).auth = { scheme: "basic", principal: { name: EVIL_USER } };
          res.setHeader("Connection", "close");
          res.send("x");
        }
        const { port } = await listen(app);
        const { text: answer } = await raw(port, Buffer.from(text, "latin1"));
        expect(answer).toMatch(/^HTTP\/1\.1 200/);
        await until(() => stream.lines.length > 0);
        expect(stream.lines).toHaveLength(1);
        expect(stream.lines[0]).not.toMatch(FORBIDDEN);
        if (["json", "ecs", "otel"].includes(name)) expect(() => stream.entries).not.toThrow();
        if (name === "combined") expect(unescapedQuotes(stream.lines[0]!)).toBe(6);
      });
    });

    it("too long targets and user agents are shortened, with an ellipsis", async () => {
      const stream = memoryStream();
      const app = express();
      app.use(requestLog({ stream }), requestLog({ stream, format: ":url" }));
      const { port } = await listen(app);
      const long = "x".repeat(3_000);
      await raw(
        port,
        `GET /${long}?${long} HTTP/1.1\r\nHost: a\r\nUser-Agent: ${long}\r\nConnection: close\r\n\r\n`,
      );
      await until(() => stream.lines.length === 2);
      const [url, json] = stream.lines as [string, string];
      expect(url).toHaveLength(1_025);
      const { path, query, userAgent } = JSON.parse(json);
      expect([path, query, userAgent].map((value: string) => value.length)).toEqual([1_025, 1_025, 1_025]);
      for (const value of [url, path, query, userAgent]) expect(value.endsWith("\u2026")).toBe(true);
    });
  });

  function unescapedQuotes(line: string): number {
    return line.replace(/\\./g, "").split('"').length - 1;
  }

  const text = () => anyText({ maxLength: 40 });

  describe("escaping", () => {
    it("leaves no control character, and can be undone", () => {
      fc.assert(
        fc.property(text(), (value) => {
          for (const escaped of [
            escapeValue(value),
            escapeWord(value),
            escapeLine(value),
            jsonString(value),
          ]) {
            expect(escaped).not.toMatch(FORBIDDEN);
          }
          expect(escapeWord(value)).not.toMatch(/\s/);
          expect(JSON.parse(jsonString(value))).toBe(value);
          expect(JSON.parse(`"${escapeValue(value)}"`)).toBe(value);
        }),
      );
    });

    it("does not change text that needs no escape", () => {
      for (const value of ["", "abc", "/a/b?x=%20", "caf\u00e9 \u4f60\u597d \ud83d\ude00"]) {
        expect(escapeValue(value)).toBe(value);
        expect(jsonString(value)).toBe(JSON.stringify(value));
        expect(shorten(value)).toBe(value);
      }
    });
  });

  describe("the JSON line", () => {
    const optional = <T>(one: fc.Arbitrary<T>) => fc.option(one, { nil: undefined });
    const entry = fc.record({
      time: fc.constant("2026-01-01T00:00:00.000Z"),
      level: fc.constantFrom("debug", "info", "warn", "error"),
      requestId: optional(text()),
      traceId: optional(text()),
      method: text(),
      path: text(),
      query: optional(text()),
      route: optional(text()),
      status: fc.integer({ min: 0, max: 999 }),
      durationMs: fc.double({ min: 0, max: 1e9, noNaN: true }).map((ms) => Math.round(ms * 1e3) / 1e3),
      headersMs: optional(fc.integer({ min: 0 })),
      responseBytes: optional(fc.integer({ min: 0 })),
      remoteAddress: text(),
      httpVersion: text(),
      userAgent: optional(text()),
      referrer: optional(text()),
      user: optional(fc.oneof(text(), fc.double())),
      aborted: optional(fc.constant(true as const)),
      timedOut: optional(fc.constant(true as const)),
      cache: optional(text()),
      error: optional(fc.record({ type: text(), message: text() })),
      headers: optional(fc.dictionary(text(), text())),
      immediate: optional(fc.constant(true as const)),
    });

    it("has the same value as JSON.stringify(entry), and the same text if nothing more is escaped", () => {
      fc.assert(
        fc.property(entry, (made) => {
          const line = jsonLine(made as never);
          const whole = JSON.stringify(made);
          expect(JSON.parse(line)).toEqual(JSON.parse(whole));
          expect(line).toBe(escapeLine(whole));
        }),
      );
    });
  });
});

describe("callbacks", () => {
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
      await request(server)
        .options("/")
        .set("Origin", "http://a")
        .set("Access-Control-Request-Method", "PUT");
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
});
