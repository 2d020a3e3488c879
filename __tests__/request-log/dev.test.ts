import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { devFormat } from "../../src/request-log/formats/dev.js";
import type { RequestLogEntry } from "../../src/request-log/index.js";
import { buildProgram } from "../support/program.js";

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

  it.each<[string, Record<string, string>, RegExp]>([
    ["nothing set", {}, PLAIN],
    ["FORCE_COLOR", { FORCE_COLOR: "1" }, COLOURED],
    ["FORCE_COLOR=0", { FORCE_COLOR: "0" }, PLAIN],
    ["FORCE_COLOR, empty", { FORCE_COLOR: "" }, PLAIN],
    ["FORCE_COLOR and NO_COLOR", { FORCE_COLOR: "1", NO_COLOR: "1" }, COLOURED],
  ])("through a pipe, %s", async (_name, more, line) => {
    expect(await output(false, more)).toMatch(line);
  });

  const tryPty = hasPty || process.env.CI === "true";
  const where = tryPty
    ? "on a terminal"
    : "SKIPPED, script (Debian: bsdutils) is not installed: on a terminal";
  (tryPty ? it.each : it.skip.each)<[string, Record<string, string>, RegExp]>([
    ["nothing set", {}, IN_COLUMNS],
    ["NO_COLOR", { NO_COLOR: "1" }, PLAIN],
    ["NO_COLOR, empty", { NO_COLOR: "" }, IN_COLUMNS],
    ["FORCE_COLOR=0", { FORCE_COLOR: "0" }, PLAIN],
    ["FORCE_COLOR=false", { FORCE_COLOR: "false" }, PLAIN],
    ["FORCE_COLOR and NO_COLOR", { FORCE_COLOR: "1", NO_COLOR: "1" }, IN_COLUMNS],
    ["TERM=dumb", { TERM: "dumb" }, PLAIN],
  ])(`${where}, %s`, async (_name, more, line) => {
    expect(await output(true, more)).toMatch(line);
    expect(await output(true, more, "")).toMatch(line); // the default on a terminal
  });
});
