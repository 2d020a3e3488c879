import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { changeOf } from "../../../tools/init/change.js";
import { readSource } from "../../../tools/init/source.js";

const root = join(__dirname, "../../..");
const folder = mkdtempSync(join(tmpdir(), "portico-init-"));
beforeAll(() => {
  mkdirSync(join(folder, "node_modules"));
  for (const name of ["express", "cors", "helmet", "morgan", "compression"])
    symlinkSync(join(root, "node_modules", name), join(folder, "node_modules", name));
  symlinkSync(root, join(folder, "node_modules/express-portico"));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Changes the file, starts it, and asks it; the file prints the port that it listens on. */
async function changed<Answer>(
  name: string,
  text: string,
  ask: (url: string) => Promise<Answer>,
): Promise<Answer> {
  const project = { majorOf: () => 8, mentions: () => false, addsElsewhere: () => undefined };
  const { after } = changeOf(readSource(name, text), project);
  expect(after).not.toBe(text);
  writeFileSync(join(folder, name), after);
  const child = spawn(process.execPath, [join(folder, name)], {
    cwd: folder,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  try {
    let printed = "";
    const port = await new Promise<string>((resolve, reject) => {
      child.once("exit", () => reject(new Error(`it ended: ${printed}`)));
      child.stdout.on("data", (chunk) => {
        printed += chunk;
        const [, found] = /port (\d+)/.exec(printed) ?? [];
        if (found !== undefined) resolve(found);
      });
    });
    return await ask(`http://127.0.0.1:${port}`);
  } finally {
    child.kill("SIGKILL");
    await ended;
  }
}

it("CommonJS with helmet, cors and morgan starts, and answers with their headers and a request id", async () => {
  const text = `const express = require("express");
const helmet = require("helmet");
const cors = require("cors");
const morgan = require("morgan");
const app = express();
app.use(morgan("tiny"));
app.use(helmet({ frameguard: { action: "deny" } }));
app.use(cors({ origin: "https://a.example", credentials: true }));
app.get("/", (req, res) => res.send("hi"));
app.get("/down", () => { throw new Error("down"); });
require("http").createServer(app).listen(0, "127.0.0.1", function () { console.log("port " + this.address().port); });
`;
  await changed("app.js", text, async (url) => {
    const hello = await fetch(url, { headers: { origin: "https://a.example" } });
    expect([hello.status, await hello.text()]).toEqual([200, "hi"]);
    expect(Object.fromEntries(hello.headers)).toMatchObject({
      "access-control-allow-origin": "https://a.example",
      "access-control-allow-credentials": "true",
      "content-security-policy": expect.stringContaining("style-src 'self' https: 'unsafe-inline'"),
      "x-frame-options": expect.stringMatching(/^deny$/i),
      "x-request-id": expect.any(String),
    });
    const headers = { origin: "https://a.example", "access-control-request-method": "PUT" };
    expect((await fetch(url, { method: "OPTIONS", headers })).status).toBe(204);
    const down = await fetch(`${url}/down`);
    expect([down.status, down.headers.get("content-type")]).toEqual([
      500,
      expect.stringContaining("problem+json"),
    ]);
    expect((await fetch(`${url}/nowhere`)).status).toBe(404);
  });
});

it("an ES module with compression and app.listen starts with serve", async () => {
  const text = `import express from "express";
import compression from "compression";
const app = express();
app.use(compression({ threshold: "1kb" }));
app.get("/", (_req, res) => { res.type("text").send("x".repeat(5000)); });
const port = 10_000 + process.pid % 20_000; // below those that the system gives to others
app.listen(port, "127.0.0.1", () => { console.log("port " + port); });
`;
  await changed("app.mjs", text, async (url) => {
    const answer = await fetch(url, { headers: { "accept-encoding": "gzip" } });
    expect([answer.headers.get("content-encoding"), (await answer.text()).length]).toEqual(["gzip", 5000]);
  });
});
