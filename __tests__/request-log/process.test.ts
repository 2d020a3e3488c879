import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildProgram } from "../support/program.js";

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
  for (const device of ["/dev/full"].filter(existsSync)) {
    it(`standard output and standard error are ${device}`, async () => {
      const full = openSync(device, "w");
      expect(await run(full, full)).toEqual({ code: 0, answered: "200" });
      closeSync(full);
    });
  }
});
