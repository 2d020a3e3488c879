import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../support/server.js";
import { oneIn } from "../support/soak.js";
import { send } from "./fixtures/uncaught-program.js";

const running = new Set<ChildProcess>();
const folder = mkdtempSync(join(tmpdir(), "express-portico-"));
afterAll(() => {
  for (const { pid } of running) {
    try {
      process.kill(-pid!, "SIGKILL");
    } catch {
      // It has ended.
    }
  }
  rmSync(folder, { recursive: true });
});

const fixture = join(__dirname, "fixtures", "watched-app.mjs");
const tsx = join(__dirname, "../../node_modules/tsx/dist/cli.mjs");

const watching = [
  ["node --watch", "SIGINT", ["--watch", fixture]],
  ["node --watch", "SIGTERM", ["--watch", fixture]],
  ["tsx watch", "SIGINT", [tsx, "watch", fixture]],
  ["tsx watch", "SIGTERM", [tsx, "watch", fixture]],
] as const;
/** A terminal sends a signal to all processes of the group, and the watching program forwards it. */
it.each(
  oneIn(3, watching),
)("under %s a %s that arrives twice loses no request under way", async (name, signal, args) => {
  const out = join(folder, `${name}-${signal}`.replaceAll(/\W/g, "-"));
  const child = spawn(process.execPath, args, {
    detached: true,
    stdio: "ignore",
    env: { ...process.env, OUT: out, NODE_OPTIONS: "" },
  });
  running.add(child);
  const noted = () => (existsSync(out) ? readFileSync(out, "utf8") : "");
  await until(() => noted().includes("url "), 40_000);
  const reply = send(/url (\S+)/.exec(noted())![1]!);
  await until(() => noted().includes("started"));
  process.kill(-child.pid!, signal);
  expect(await reply).toMatchObject({ status: 200, complete: true, body: "whole" });
  await until(() => noted().includes("exit "));
  expect(noted()).toContain("exit 0");
});
