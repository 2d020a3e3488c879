import type { IncomingMessage } from "node:http";
import express from "express";
import fc from "fast-check";
import morgan from "morgan";
import { stateOf } from "../../src/lib/request/state.js";
import { escapeLine, escapeValue, escapeWord, jsonString, shorten } from "../../src/request-log/escape.js";
import { jsonLine } from "../../src/request-log/formats/index.js";
import { type RequestLogOptions, requestLog } from "../../src/request-log/index.js";
import { closeServers, listen, raw, until } from "../support/server.js";
import { anyText } from "../support/text.js";
import { memoryStream } from "./memory.js";

afterEach(closeServers);

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
  ["tokens", { format: ':portico-user ":portico-params" ":req[x-forwarded-for]" :remote-addr ":req[x-a]"' }],
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
        for (const escaped of [escapeValue(value), escapeWord(value), escapeLine(value), jsonString(value)]) {
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
