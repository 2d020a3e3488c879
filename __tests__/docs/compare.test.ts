import { exec } from "node:child_process";
import { readFileSync } from "node:fs";
import type { AddressInfo, Server } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import corsPackage from "cors";
import express, { type Express } from "express";
import { cors } from "../../src/index.js";
import { blocks, root } from "../support/markdown.js";
import { until } from "../support/server.js";

const lines = blocks("README.md")
  .find(({ info }) => info === "sh compare")!
  .code.trim()
  .split("\n");
const [errorLine, preflightLine, uploadLine, leaveLine, typoLine] = lines as [
  string,
  string,
  string,
  string,
  string,
];

let written = "";
const servers: Server[] = [];
let ports: { hand: number; ours: number };

beforeAll(async () => {
  jest.spyOn(process.stdout, "write").mockImplementation((text) => {
    written += String(text);
    return true;
  });
  jest.spyOn(process.stderr, "write").mockReturnValue(true);
  jest.spyOn(console, "error").mockImplementation(() => {});
  const hand = (await import("../../docs/compare/hand-wired.js")).app;
  const ours = (await import("../../docs/compare/portico.js")).app;
  ports = { hand: await listen(hand), ours: await listen(ours) };
});

afterAll(async () => {
  jest.restoreAllMocks();
  await Promise.all(
    servers.map((server) => {
      (server as import("node:http").Server).closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    }),
  );
});

it.each(["hand-wired", "portico"])("README shows docs/compare/%s.ts as it is", (name) => {
  const shown = blocks("README.md").find(({ info }) => info === `ts compare ${name}`);
  expect(shown?.code).toBe(readFileSync(join(root, `docs/compare/${name}.ts`), "utf8"));
});

it("a 500 has CORS headers with portico and none by hand", async () => {
  const [hand, ours] = await Promise.all([run(errorLine, ports.hand), run(errorLine, ports.ours)]);
  expect(hand).toMatch(/^HTTP\/1\.1 500/);
  expect(hand).not.toMatch(/access-control-allow-origin/i);
  expect(ours).toMatch(/^HTTP\/1\.1 500/);
  expect(ours).toMatch(/^access-control-allow-origin: https:\/\/app\.example\r$/im);
});

it("a preflight passes with portico and is refused by the auth check by hand", async () => {
  expect(await run(preflightLine, ports.hand)).toBe("401");
  expect(await run(preflightLine, ports.ours)).toBe("204");
});

it("a handler that fails during a stalled upload is answered with portico only", async () => {
  const [hand, ours] = await Promise.all([run(uploadLine, ports.hand), run(uploadLine, ports.ours)]);
  expect(hand).toBe("000");
  expect(ours).toBe("500");
});

it("a client that left is a 499 in the log with portico, and has no status by hand", async () => {
  written = "";
  await run(leaveLine, ports.hand);
  await until(() => written.includes("\n"));
  expect(written).toContain('"GET /slow HTTP/1.1" - -');
  written = "";
  await run(leaveLine, ports.ours);
  await until(() => written.includes("\n"));
  expect(written).toContain('"GET /slow HTTP/1.1" 499 -');
});

it("a misspelt option is refused at start with portico, and allows every origin by hand", async () => {
  const wrong = { orgin: "https://app.example" };
  const app = express();
  app.use(corsPackage(wrong as object));
  expect(await run(typoLine, await listen(app))).toMatch(/^access-control-allow-origin: \*\r$/im);
  expect(() => cors(wrong as object)).toThrow('Did you mean "origin"?');
});

function listen(app: Express): Promise<number> {
  return new Promise((resolve) => {
    const server = app.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
    servers.push(server);
  });
}

/** Runs a line in a shell. If curl fails (no response in time), its output counts all the same. */
async function run(line: string, port: number): Promise<string> {
  const outcome = await promisify(exec)(line.replace("localhost", "127.0.0.1"), {
    shell: "/bin/bash",
    env: { ...process.env, PORT: String(port) },
  }).catch((error: { stdout: string }) => error);
  return outcome.stdout;
}
