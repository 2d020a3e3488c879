import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import express from "express";
import fc from "fast-check";
import request from "supertest";
import ts from "typescript";
import { devFormat } from "../../src/request-log/formats/dev.js";
import { mapEntry } from "../../src/request-log/formats/index.js";
import { type RequestLogEntry, requestLog } from "../../src/request-log/index.js";
import { closeHttp2 } from "../support/http2.js";
import { blocks } from "../support/markdown.js";
import { buildProgram } from "../support/program.js";
import { closeServers } from "../support/server.js";
import { casesOf, oneIn } from "../support/soak.js";
import { webPath, webQuery } from "../support/text.js";
import { ECS, faultsOf, namesOf, OTEL } from "./field-lists.js";
import { memoryStream } from "./memory.js";
import { logOfEveryKind } from "./requests.js";

describe("the format dev", () => {
  const OK: RequestLogEntry = {
    time: "2026-01-01T00:00:00.000Z",
    level: "info",
    requestId: undefined,
    traceId: undefined,
    method: "GET",
    path: "/hello",
    query: "x=1",
    route: undefined,
    status: 200,
    durationMs: 1.234,
    headersMs: 1,
    responseBytes: 1,
    remoteAddress: "127.0.0.1",
    httpVersion: "1.1",
    userAgent: undefined,
    referrer: undefined,
    user: undefined,
    aborted: undefined,
    timedOut: undefined,
    cache: undefined,
    refused: undefined,
    error: undefined,
    headers: undefined,
    immediate: undefined,
  };
  const error = { type: "TypeError", message: 'no "x"' };

  const plain = (entry: Partial<RequestLogEntry>, slowMs = Number.POSITIVE_INFINITY) =>
    devFormat({ slowMs, colours: false, terminal: undefined })(
      { ...OK, ...entry },
      undefined as never,
      undefined as never,
    )!;
  const onTerminal = (entry: Partial<RequestLogEntry>, columns: number | undefined = 80, slowMs = 1_000) =>
    devFormat({ slowMs, colours: true, terminal: { columns } })(
      { ...OK, ...entry },
      undefined as never,
      undefined as never,
    )!;

  /** What a terminal shows of a line: colours are not text, and moving the cursor leaves blanks. */
  function shown(line: string): string {
    return line
      .replace(/\x1b\[\d+m/g, "")
      .replace(/\x1b\[(\d+)C/g, (_, cells: string) => " ".repeat(Number(cells)));
  }
  /** The text alone. */
  const textOf = (line: string) => line.replace(/\x1b\[\d+[mC]/g, "");

  const MARKED: [Partial<RequestLogEntry>, string][] = [
    [{}, "GET /hello?x=1 200 1.234 ms"],
    [{ aborted: true }, "GET /hello?x=1 200 1.234 ms aborted"],
    [{ status: 499, aborted: true, query: undefined }, "GET /hello 499 1.234 ms aborted"],
    [{ status: 503, timedOut: true }, "GET /hello?x=1 503 1.234 ms timed out"],
    [{ cache: "hit" }, "GET /hello?x=1 200 1.234 ms cache hit"],
    [{ cache: "stale" }, "GET /hello?x=1 200 1.234 ms cache stale"],
    [{ status: 500, error }, 'GET /hello?x=1 500 1.234 ms TypeError: no \\"x\\"'],
    [{ durationMs: 1_000 }, "GET /hello?x=1 200 1000.000 ms slow"],
    [
      { durationMs: 1_500, aborted: true, timedOut: true, cache: "miss", error },
      'GET /hello?x=1 200 1500.000 ms slow aborted timed out cache miss TypeError: no \\"x\\"',
    ],
    [{ immediate: true, status: 0, durationMs: 0 }, "GET /hello?x=1 - - ms"],
  ];

  it.each(MARKED)("%j is written as %j, and on a terminal it is the same text", (entry, line) => {
    expect(plain(entry, 1_000)).toBe(line);
    expect(textOf(onTerminal(entry))).toBe(line);
    expect(textOf(onTerminal(entry, undefined))).toBe(line);
  });

  it("without slowMs nothing is slow", () => {
    expect(plain({ durationMs: 60_000 })).toBe("GET /hello?x=1 200 60000.000 ms");
  });

  it.each([
    [200, 32],
    [302, 36],
    [404, 33],
    [500, 31],
  ])("status %i has colour %i", (status, colour) => {
    expect(onTerminal({ status })).toContain(`\x1b[${colour}m${status}\x1b[39m`);
  });

  it("every mark has a colour, and every colour ends", () => {
    const line = onTerminal({ durationMs: 2_000, aborted: true, timedOut: true, cache: "hit", error });
    for (const mark of ["2000.000 ms", "slow", "aborted", "timed out", "cache hit", "TypeError: "]) {
      expect(line).toMatch(new RegExp(`\\x1b\\[\\d+m${mark}`));
    }
    expect(line.match(/\x1b\[\d\dm/g)).toHaveLength(14);
    expect(line.match(/\x1b\[39m/g)).toHaveLength(7);
    expect(line.endsWith("\x1b[39m")).toBe(true);
  });

  it("on a terminal targets, statuses and durations are aligned in columns", () => {
    const lines = [
      { method: "GET", path: "/" },
      { method: "OPTIONS", path: "/api/items" },
      { method: "DELETE", durationMs: 12_345.678, aborted: true as const },
      { method: "POST", status: 503, durationMs: 0.05 },
    ].map((entry) => shown(onTerminal(entry)));
    for (const line of lines) {
      expect(line.slice(0, 9)).toMatch(/^[A-Z]+ +\/$/);
      expect(line).toMatch(/^.{50}\d{3} .{9} ms/);
    }
    expect(lines[1]!.slice(0, 67)).toBe("OPTIONS /api/items?x=1                            200     1.234 ms");
  });

  it.each([40, 80, 120, 200])("a terminal of %i columns: no line without a mark is longer", (columns) => {
    for (const length of [1, 10, columns - 30, columns - 25, columns, 900]) {
      const line = shown(
        onTerminal({ path: `/${"x".repeat(Math.max(length, 1))}`, query: undefined }, columns),
      );
      expect([...line].length).toBeLessThanOrEqual(columns);
      expect(line).toMatch(length < 10 ? /x +200 +1\.234 ms$/ : / 200 +1\.234 ms$/);
    }
    const long = shown(onTerminal({ method: "UNSUBSCRIBE", path: `/${"x".repeat(900)}` }, columns));
    expect([...long].length).toBeLessThanOrEqual(Math.max(columns, 41)); // a target keeps twelve columns
    const cut = shown(onTerminal({ path: `/${"x".repeat(900)}` }, columns));
    expect(cut).toContain("x\u2026 200");
  });

  it("a long target is not shortened if it fits, or if there is no terminal", () => {
    const path = `/${"x".repeat(50)}`;
    expect(shown(onTerminal({ path, query: undefined }, 80))).toBe(`GET     ${path} 200     1.234 ms`);
    expect(plain({ path: `/${"x".repeat(900)}`, query: undefined })).toContain(`/${"x".repeat(900)} 200`);
  });

  it("values that a client sends cannot move the cursor", () => {
    const path = "/\x1b[2J\x1b[31m\u009b";
    expect(textOf(onTerminal({ path, query: undefined }))).toContain("GET /\\u001b[2J\\u001b[31m\\u009b 200");
  });

  /** Serves one request with a log on standard output, of the format that its argument names. */
  const PROGRAM = `
  import http from "node:http";
  import { requestLog } from "./src/request-log/index.ts";
  const log = requestLog({ format: process.argv[2] || undefined });
  const server = http.createServer((req, res) => log(req, res, () => res.end("hello")));
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address();
    http.get({ port, host: "127.0.0.1", path: "/hello?x=1", agent: false }, (res) => {
      res.resume().on("end", () => server.close());
    });
  });
`;

  describe("in a separate process", () => {
    const folder = mkdtempSync(join(tmpdir(), "portico-dev-"));
    const program = join(folder, "program.cjs");
    beforeAll(() => buildProgram(PROGRAM, program));
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    const env = (more: Record<string, string>) => {
      const { NO_COLOR: _no, FORCE_COLOR: _force, ...rest } = process.env;
      return { ...rest, TERM: "xterm", ...more };
    };
    const hasPty = (() => {
      try {
        return /util-linux/.test(execFileSync("script", ["--version"], { encoding: "utf8" }));
      } catch {
        return false;
      }
    })();

    async function output(terminal: boolean, more: Record<string, string>, format = "dev"): Promise<string> {
      const [file, args] = terminal
        ? ["script", ["-qec", `stty cols 80 && '${process.execPath}' '${program}' '${format}'`, "/dev/null"]]
        : [process.execPath, [program, format]];
      const { stdout } = await promisify(execFile)(file, args, { env: env(more) });
      return stdout.replaceAll("\r\n", "\n");
    }

    const PLAIN = /^GET \/hello\?x=1 200 \d+\.\d{3} ms\n$/;
    const COLOURED = /^GET \/hello\?x=1 \x1b\[32m200\x1b\[39m \d+\.\d{3} ms\n$/;
    const IN_COLUMNS = /^GET\x1b\[4C \/hello\?x=1\x1b\[\d+C \x1b\[32m200\x1b\[39m\x1b\[\dC \d+\.\d{3} ms\n$/;

    const pipes: [string, Record<string, string>, RegExp][] = [
      ["nothing set", {}, PLAIN],
      ["FORCE_COLOR", { FORCE_COLOR: "1" }, COLOURED],
      ["FORCE_COLOR=0", { FORCE_COLOR: "0" }, PLAIN],
      ["FORCE_COLOR, empty", { FORCE_COLOR: "" }, PLAIN],
      ["FORCE_COLOR and NO_COLOR", { FORCE_COLOR: "1", NO_COLOR: "1" }, COLOURED],
    ];
    it.each(oneIn(4, pipes))("through a pipe, %s", async (_name, more, line) => {
      expect(await output(false, more)).toMatch(line);
    });

    const tryPty = hasPty || process.env.CI === "true";
    const where = tryPty
      ? "on a terminal"
      : "SKIPPED, script (Debian: bsdutils) is not installed: on a terminal";
    const terminals: [string, Record<string, string>, RegExp][] = [
      ["nothing set", {}, IN_COLUMNS],
      ["NO_COLOR", { NO_COLOR: "1" }, PLAIN],
      ["NO_COLOR, empty", { NO_COLOR: "" }, IN_COLUMNS],
      ["FORCE_COLOR=0", { FORCE_COLOR: "0" }, PLAIN],
      ["FORCE_COLOR=false", { FORCE_COLOR: "false" }, PLAIN],
      ["FORCE_COLOR and NO_COLOR", { FORCE_COLOR: "1", NO_COLOR: "1" }, IN_COLUMNS],
      ["TERM=dumb", { TERM: "dumb" }, PLAIN],
    ];
    (tryPty ? it.each : it.skip.each)(oneIn(6, terminals))(`${where}, %s`, async (_name, more, line) => {
      expect(await output(true, more)).toMatch(line);
      expect(await output(true, more, "")).toMatch(line); // the default on a terminal
    });
  });
});

describe("the format for Google Cloud", () => {
  /** The app of the page's own example. */
  function exampleApp(): Parameters<typeof request>[0] {
    const block = blocks("docs/request-log.md").find(({ code }) => code.includes("logging.googleapis.com"))!;
    const { outputText } = ts.transpileModule(`${block.code}\nexport { app };`, {
      compilerOptions: {
        module: ts.ModuleKind.CommonJS,
        target: ts.ScriptTarget.ES2023,
        esModuleInterop: true,
      },
    });
    const exports: { app?: Parameters<typeof request>[0] } = {};
    const load = (name: string) =>
      require(name === "express-portico" ? join(__dirname, "../../src/index") : name) as unknown;
    new Function("require", "exports", outputText)(load, exports);
    return exports.app!;
  }

  it("the example for Google Cloud writes the fields that it knows, in its units", async () => {
    const written: string[] = [];
    const write = jest
      .spyOn(process.stdout, "write")
      .mockImplementation((text) => written.push(String(text)) > 0);
    try {
      const app = exampleApp();
      const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
      await request(app)
        .get("/hello?x=1&token=s")
        .set("traceparent", traceparent)
        .set("User-Agent", "ua\u0085");
      await request(app).get("/missing");
      await new Promise(setImmediate);
      await new Promise(setImmediate);
    } finally {
      write.mockRestore();
    }
    const [found, missing] = written
      .join("")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(found).toEqual({
      severity: "INFO",
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:]+\.\d{3}Z$/),
      message: "GET /hello 200",
      httpRequest: {
        requestMethod: "GET",
        requestUrl: "/hello?x=1&token=REDACTED",
        status: 200,
        responseSize: "5",
        userAgent: "ua\u0085",
        remoteIp: expect.stringMatching(/127\.0\.0\.1$/),
        latency: expect.stringMatching(/^0\.\d+s$/),
        cacheHit: false,
        protocol: "HTTP/1.1",
      },
      "logging.googleapis.com/trace": "projects/my-project/traces/0af7651916cd43dd8448eb211c80319c",
      "logging.googleapis.com/spanId": "b7ad6b7169203331",
      "logging.googleapis.com/trace_sampled": true,
      requestId: expect.any(String),
      route: "/hello",
    });
    expect(missing).toMatchObject({ severity: "WARNING", httpRequest: { status: 404 } });
    expect(written.join("")).not.toMatch(/\u0085/);
  });
});

describe("schemas", () => {
  type Logged = Map<string, Record<string, unknown>>;
  const logs: Record<"ecs" | "otel", Logged> = { ecs: new Map(), otel: new Map() };

  beforeAll(async () => {
    for (const schema of ["ecs", "otel"] as const) {
      logs[schema] = await logOfEveryKind({ schema });
      const immediate = await logOfEveryKind({ schema, immediate: true });
      logs[schema].set("immediate", immediate.get("ok")!);
    }
    await closeServers();
    await closeHttp2();
  });

  describe.each([
    ["ecs", ECS],
    ["otel", OTEL],
  ] as const)("schema %s", (schema, list) => {
    it("every field of every kind of request is in the list, and of its type", () => {
      const faults = [...logs[schema]].flatMap(([kind, record]) =>
        faultsOf(list, record).map((fault) => `${kind}: ${fault}`),
      );
      expect(faults).toEqual([]);
      expect(logs[schema].size).toBe(24);
    });

    it("every name in the list is used by some kind of request", () => {
      const used = new Set([...logs[schema].values()].flatMap((record) => Object.keys(record)));
      // The stack is only in records of a logger that recover has too: together/one-record.test.ts.
      const missing = namesOf(list).filter((name) => !used.has(name));
      expect(missing).toEqual([schema === "ecs" ? "error.stack_trace" : "exception.stacktrace"]);
    });

    it("the fields of any entry are in the list", () => {
      fc.assert(
        fc.property(entries, hosts, (entry, host) => {
          const req = { headers: { host }, socket: { remoteAddress: "127.0.0.1", remotePort: 5 } };
          const record = mapEntry[schema](entry, req as unknown as IncomingMessage);
          expect(faultsOf(list, JSON.parse(JSON.stringify(record)))).toEqual([]);
        }),
        { numRuns: casesOf(300) },
      );
    });
  });

  it("the attributes' names are those that OpenTelemetry publishes, but for our own, which begin with portico.", () => {
    const published = require("@opentelemetry/semantic-conventions/incubating") as Record<string, unknown>;
    const names = new Set(Object.values(published).filter((value) => typeof value === "string"));
    const ofTheRecord = new Set([
      "timestamp",
      "severity_text",
      "severity_number",
      "body",
      "trace_id",
      "span_id",
      "trace_flags",
      ...["portico.refused.by", "portico.refused.reason"],
    ]);
    const unknown = namesOf(OTEL).filter((name) => !names.has(name) && !ofTheRecord.has(name));
    expect(unknown).toEqual([]);
    expect((published.ATTR_HTTP_REQUEST_HEADER as (key: string) => string)("x-a")).toBe(
      "http.request.header.x-a",
    );
    expect((published.ATTR_HTTP_RESPONSE_HEADER as (key: string) => string)("x-a")).toBe(
      "http.response.header.x-a",
    );
  });

  const N = undefined;

  /** Status; outcome (ECS); error.type and exception.type (OpenTelemetry); level. */
  const KINDS: [string, number | undefined, string, string | undefined, string | undefined, string][] = [
    ["ok", 200, "success", N, N, "info"],
    ["immediate", N, "unknown", N, N, "info"],
    ["unmatched", 404, "failure", N, N, "warn"],
    ["client's error", 422, "failure", N, "Error", "warn"],
    ["thrown", 500, "failure", "RangeError", "RangeError", "error"],
    ["unavailable", 503, "failure", "503", N, "error"],
    ["timed out", 503, "failure", "timeout", N, "error"],
    ["aborted before the head", 499, "failure", N, N, "info"],
    ["aborted in the body", 200, "unknown", N, N, "info"],
    ["aborted in a failure's body", 503, "failure", "503", N, "error"],
    ["truncated by the server", 200, "failure", "TypeError", "TypeError", "error"],
    ["dropped by the server", 444, "failure", N, N, "warn"],
    ["cached", 200, "success", N, N, "info"],
  ];
  it.each(KINDS)("%s: status %p, outcome %s, error %p, exception %p, level %s", (kind, ...expected) => {
    const ecs = logs.ecs.get(kind)!;
    const otel = logs.otel.get(kind)!;
    expect([
      ecs["http.response.status_code"],
      ecs["event.outcome"],
      otel["error.type"],
      otel["exception.type"],
      ecs["log.level"],
    ]).toEqual(expected);
    const sent = /before the head|dropped/.test(kind) ? undefined : ecs["http.response.status_code"];
    expect(otel["http.response.status_code"]).toBe(sent);
    expect(otel.severity_text).toBe((ecs["log.level"] as string).toUpperCase());
    expect(ecs["error.type"]).toBe(otel["exception.type"]);
  });

  it("durations are nanoseconds in ecs and seconds in otel", () => {
    // A timeout of 5 ms: not less, and on a busy machine not a thousand times more.
    const nanoseconds = logs.ecs.get("timed out")!["event.duration"] as number;
    const seconds = logs.otel.get("timed out")!["http.server.request.duration"] as number;
    expect(nanoseconds).toBeGreaterThan(4e6);
    expect(nanoseconds).toBeLessThan(5e9);
    expect(seconds).toBeGreaterThan(0.004);
    expect(seconds).toBeLessThan(5);
  });

  it.each([
    ["ecs", "log.level", "warn"],
    ["otel", "severity_text", "WARN"],
    ["plain", "level", "warn"],
  ] as const)("in schema %s a slow request is raised to %s %s", async (schema, name, level) => {
    const stream = memoryStream();
    const app = express();
    app.use(requestLog({ stream, format: "json", schema, slowMs: 3 }));
    app.get("/slow", (_req, res) => void setTimeout(() => res.send("x"), 6));
    await request(app).get("/slow");
    expect(stream.entries).toEqual([expect.objectContaining({ [name]: level })]);
  });

  it("the trace, the span and the flags are the caller's", () => {
    expect(logs.ecs.get("ok")).toMatchObject({
      "trace.id": "0af7651916cd43dd8448eb211c80319c",
      "span.id": "b7ad6b7169203331",
    });
    expect(logs.otel.get("ok")).toMatchObject({
      trace_id: "0af7651916cd43dd8448eb211c80319c",
      span_id: "b7ad6b7169203331",
      trace_flags: "01",
    });
  });

  it("in otel, a method that a client has made up is _OTHER", () => {
    expect(logs.otel.get("unknown method")).toMatchObject({
      "http.request.method": "_OTHER",
      "http.request.method_original": "PROPFIND",
    });
    expect(logs.otel.get("ok")).not.toHaveProperty(["http.request.method_original"]);
  });

  it("routes are templates, and left out if no route matched", () => {
    expect(logs.otel.get("ok")!["http.route"]).toBe("/hello/:name");
    expect(logs.ecs.get("ok")!["labels.route"]).toBe("/hello/:name");
    expect(logs.otel.get("unmatched")).not.toHaveProperty(["http.route"]);
  });

  it.each([
    "HTTP/2",
    "HTTP/2, connection gone",
  ])("%s: the scheme, the authority and the peer are known", (kind) => {
    expect(logs.otel.get(kind)).toMatchObject({
      "url.scheme": "https",
      "server.address": "localhost",
      "server.port": expect.any(Number),
      "network.peer.address": "127.0.0.1",
      "network.peer.port": expect.any(Number),
      "network.protocol.version": "2",
    });
    expect(logs.ecs.get(kind)).toMatchObject({ "url.domain": "localhost", "http.version": "2.0" });
  });

  it("scheme, host and address are read from a proxy that the app trusts, and from no other", () => {
    expect(logs.otel.get("behind a proxy")).toMatchObject({
      "url.scheme": "https",
      "server.address": "shop.example",
      "server.port": 8443,
      "client.address": "fe80::1", // without the zone
      "network.peer.address": "127.0.0.1",
    });
    expect(logs.ecs.get("behind a proxy")).toMatchObject({ "client.ip": "fe80::1" });
    expect(logs.otel.get("ok")).toMatchObject({ "url.scheme": "http", "server.address": "127.0.0.1" });
  });

  it("an invalid host is left out; a Unix socket has no addresses", () => {
    expect(logs.otel.get("strange host")).not.toHaveProperty(["server.address"]);
    expect(logs.otel.get("strange host")).not.toHaveProperty(["server.port"]);
    for (const name of ["client.address", "network.peer.address", "network.peer.port"]) {
      expect(logs.otel.get("Unix socket")).not.toHaveProperty([name]);
    }
  });

  it("values without a field in the schemas are labels, and part of the message", () => {
    expect(logs.ecs.get("cached")!["labels.cache"]).toBe("hit");
    expect(logs.ecs.get("timed out")!["labels.timed_out"]).toBe("true");
    expect(logs.ecs.get("aborted in the body")!["labels.aborted"]).toBe("true");
    expect(logs.ecs.get("headers")).toMatchObject({
      "labels.request_header_accept-language": "en",
      "labels.request_header_x_dotted": "1",
    });
    expect(logs.otel.get("aborted in the body")!.body).toBe("GET /half 200 aborted");
    expect(logs.otel.get("timed out")!.body).toBe("GET /slow 503 timed out");
    expect(logs.otel.get("headers")!["http.response.header.x-request-id"]).toEqual([
      logs.otel.get("headers")!["http.response.header.x-request-id"]?.toString(),
    ]);
  });

  const hosts = fc.oneof(fc.string(), fc.domain(), fc.constantFrom("[::1]:80", "a:0", "a:70000", undefined));
  const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
  const flag = fc.constantFrom(true as const, undefined);

  const entries: fc.Arbitrary<RequestLogEntry> = fc.record({
    time: fc
      .date({ min: new Date(0), max: new Date("2100-01-01"), noInvalidDate: true })
      .map((at) => at.toISOString()),
    level: fc.constantFrom("debug", "info", "warn", "error"),
    requestId: optional(fc.uuid()),
    traceId: fc.constant(undefined),
    method: fc.string({ minLength: 1 }),
    path: webPath(),
    query: optional(webQuery()),
    route: optional(fc.string()),
    status: fc.integer({ min: 100, max: 999 }),
    durationMs: fc.double({ min: 0.002, max: 59_000, noNaN: true }),
    headersMs: optional(fc.double({ min: 0, max: 1, noNaN: true })),
    responseBytes: optional(fc.nat()),
    remoteAddress: fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      fc.constantFrom("-", "fe80::1%eth0", "unknown", "1.2.3.4:80"),
    ),
    httpVersion: fc.constantFrom("1.0", "1.1", "2.0"),
    userAgent: optional(fc.string()),
    referrer: optional(fc.string()),
    user: optional(fc.oneof(fc.string(), fc.integer())),
    aborted: flag,
    timedOut: flag,
    cache: optional(fc.constantFrom("hit", "miss", "stale", "bypass")),
    refused: fc.constantFrom(undefined, { by: "auth", reason: "expired" }),
    error: optional(fc.record({ type: fc.string(), message: fc.string(), stack: optional(fc.string()) })),
    headers: optional(fc.dictionary(fc.stringMatching(/^[a-z!#$'*^_`|~.-]{1,9}$/), fc.string())),
    immediate: flag,
  });
});
