import { spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { closeSync, existsSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Writable } from "node:stream";
import express from "express";
import request from "supertest";
import { type RequestLogOptions, requestLog } from "../../src/request-log/index.js";
import { lineWriterFor } from "../../src/request-log/writer.js";
import { buildProgram } from "../support/program.js";
import { until } from "../support/server.js";
import { inSoak, SOAK } from "../support/soak.js";

describe("the stream", () => {
  /** A stream that is full from its first write until the test drains it. */
  class Full extends EventEmitter {
    readonly written: string[] = [];
    room = false;
    write(text: string) {
      this.written.push(text);
      return this.room;
    }
  }

  const nextTurn = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

  function app(options: RequestLogOptions) {
    const server = express();
    server.use(requestLog({ format: ":method :url", ...options }));
    server.use((_req, res) => {
      res.send("fine");
    });
    return server;
  }

  describe("the stream of requestLog", () => {
    let told: jest.SpyInstance;
    beforeEach(() => {
      told = jest.spyOn(process.stderr, "write").mockReturnValue(true);
    });
    afterEach(() => told.mockRestore());
    const warnings = () =>
      told.mock.calls.map(([text]) => String(text)).filter((text) => /requestLog/.test(text));

    it("standard output by default, asked for when a line is written", async () => {
      const out = jest.spyOn(process.stdout, "write").mockReturnValue(true);
      try {
        await request(app({})).get("/x");
        await nextTurn();
        expect(out.mock.calls.map(([text]) => text)).toEqual(["GET /x\n"]);
      } finally {
        out.mockRestore();
      }
    });

    it("no line waits longer than the next turn of the event loop, and those of one turn are one write", async () => {
      const stream = new Full();
      stream.room = true;
      const writer = lineWriterFor(stream);
      writer.add("a");
      writer.add("b");
      expect(stream.written).toEqual([]);
      await new Promise((resolve) => setImmediate(resolve));
      expect(stream.written).toEqual(["a\nb\n"]);
    });

    it("an object that is not a Node stream gets each line at once, in its own call", () => {
      const lines: string[] = [];
      const writer = lineWriterFor({ write: (line: string) => lines.push(line) });
      writer.add("a");
      writer.add("b");
      expect(lines).toEqual(["a\n", "b\n"]);
    });

    it("for a full stream at most 1,000 lines wait; more are counted and reported when it drains", async () => {
      const stream = new Full();
      const writer = lineWriterFor(stream);
      writer.add("first");
      await nextTurn();
      expect(stream.written).toEqual(["first\n"]);
      for (let i = 0; i < 1_250; i++) writer.add(`${i}`);
      await nextTurn();
      expect(stream.written).toHaveLength(1);
      expect(warnings()).toEqual([]);
      stream.room = true;
      stream.emit("drain");
      expect(stream.written[1]!.trimEnd().split("\n")).toHaveLength(1_000);
      expect(stream.written[1]).toMatch(/^0\n1\n[\s\S]*\n999\n$/);
      expect(warnings()).toEqual([expect.stringContaining('"dropped":250')]);
      writer.add("after");
      await nextTurn();
      stream.emit("drain");
      expect(stream.written[2]).toBe("after\n");
      expect(warnings()).toHaveLength(1);
    });

    it("however many logs share a stream, it has one listener of each kind", async () => {
      const stream = new PassThrough().resume();
      const before = stream.listenerCount("error");
      const server = express();
      for (let i = 0; i < 20; i++) server.use(requestLog({ stream }));
      expect(stream.listenerCount("error")).toBe(before);
      await request(server).get("/");
      await nextTurn();
      await request(server).get("/");
      await nextTurn();
      expect(stream.listenerCount("error")).toBe(before + 1);
    });

    const codes = ["EPIPE", "EAGAIN", "ENOSPC"];
    const failing: [string, () => { write(line: string): unknown }][] = [
      ...codes.map((code): [string, () => Writable] => [
        `a stream that fails with ${code}`,
        () =>
          new Writable({
            autoDestroy: false,
            write: (_chunk, _encoding, done) => done(Object.assign(new Error(code), { code })),
          }),
      ]),
      [
        "a stream that destroys itself",
        () => new Writable({ write: (_chunk, _encoding, done) => done(new Error("gone")) }),
      ],
      ["a stream that is destroyed", () => new PassThrough().destroy()],
      ["a stream that has ended", () => new PassThrough().end()],
      [
        "a stream that throws",
        () =>
          Object.assign(new EventEmitter(), {
            write() {
              throw Object.assign(new Error("write EAGAIN"), { code: "EAGAIN" });
            },
          }),
      ],
      [
        "an object that throws",
        () => ({
          write() {
            throw undefined;
          },
        }),
      ],
      ["an object that rejects", () => ({ write: async () => Promise.reject(new Error("no")) })],
    ];
    it.each(failing)("%s costs lines, one warning, and no request", async (_name, make) => {
      const server = app({ stream: make() });
      for (let i = 0; i < 3; i++) {
        await request(server).get("/").expect(200, "fine");
        await nextTurn();
      }
      await until(() => warnings().length > 0);
      expect(warnings()).toEqual([expect.stringContaining("the stream failed")]);
    });
  });
});

inSoak(() =>
  describe("a process", () => {
    /** A separate process that answers 200 requests which it sends itself, and writes to fd 3 how many were answered. */
    const PROGRAM = `
  import { writeSync } from "node:fs";
  import express from "express";
  import { requestLog } from "./src/request-log/index.ts";
  const app = express();
  app.use(requestLog({ format: "json", level: () => { throw new Error("told on standard error"); } }));
  app.use((_req, res) => { res.send("x"); });
  const server = app.listen(0, "127.0.0.1", async () => {
    let answered = 0;
    for (let i = 0; i < 200; i++) {
      const { port } = server.address();
      const answer = await fetch("http://127.0.0.1:" + port + "/" + i);
      if ((await answer.text()) === "x") answered++;
    }
    writeSync(3, String(answered));
    server.close();
    server.closeAllConnections();
  });
`;

    const folder = mkdtempSync(join(tmpdir(), "portico-log-"));
    const program = join(folder, "program.cjs");

    beforeAll(() => buildProgram(PROGRAM, program));
    afterAll(() => rmSync(folder, { recursive: true }));

    async function run(stdout: "pipe" | number, stderr: "pipe" | number) {
      const child = spawn(process.execPath, [program], { stdio: ["ignore", stdout, stderr, "pipe"] });
      child.stdout?.destroy(); // nobody reads: the next write is an EPIPE
      child.stderr?.destroy();
      let answered = "";
      child.stdio[3]!.on("data", (chunk: Buffer) => {
        answered += chunk.toString();
      });
      const [code] = await once(child, "close");
      return { code, answered };
    }

    describe("a process whose output is lost lives on", () => {
      it("standard output and standard error are broken pipes", async () => {
        expect(await run("pipe", "pipe")).toEqual({ code: 0, answered: "200" });
      });

      // Only some systems have such a device.
      for (const device of ["/dev/full"].filter((device) => SOAK && existsSync(device))) {
        it(`standard output and standard error are ${device}`, async () => {
          const full = openSync(device, "w");
          expect(await run(full, full)).toEqual({ code: 0, answered: "200" });
          closeSync(full);
        });
      }
    });
  }),
);
