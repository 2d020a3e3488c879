import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import http2 from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { WebSocket } from "ws";
import { describeInBrowser, withBrowser } from "../support/browser.js";
import { certificate } from "../support/certificate.js";
import { root } from "../support/markdown.js";
import { until } from "../support/server.js";
import { ask, bundle, endPrograms, type Program, startProgram, stream } from "./support.js";

const run = promisify(execFile);

/**
 * Next has 340 MB with its compiler, too much for every `npm ci`: `npm run test:soak` installs it when it first runs. If that
 * fails, the tests fail.
 */
const PACKAGES = { next: "16.4.6", react: "19.3.1", "react-dom": "19.3.1" };
const packages = join(root, "node_modules", ".cache", `next-${PACKAGES.next}`);
/** The app itself. In node_modules its pages would count as a package's, and not be compiled. */
const folder = mkdtempSync(join(tmpdir(), "portico-next-"));
const env = { ...process.env, NODE_ENV: "production" as const, NEXT_TELEMETRY_DISABLED: "1" };

async function install(): Promise<void> {
  if (existsSync(join(packages, "node_modules", ".package-lock.json"))) return;
  mkdirSync(packages, { recursive: true });
  writeFileSync(join(packages, "package.json"), JSON.stringify({ private: true, dependencies: PACKAGES }));
  await run("npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts"], { cwd: packages, env });
}

/** With webpack, because Turbopack does not follow the link to the packages. */
async function buildPages(): Promise<void> {
  cpSync(join(__dirname, "apps", "next"), folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
  symlinkSync(join(packages, "node_modules"), join(folder, "node_modules"), "dir");
  const next = join(packages, "node_modules/next/dist/bin/next");
  await run(process.execPath, [next, "build", "--webpack"], { cwd: folder, env });
}

let file = "";
const start = (more: Record<string, string> = {}) =>
  startProgram(file, { env: { NEXT_TELEMETRY_DISABLED: "1", NEXT_DIR: folder, ...more } });

describe("Next.js in docs/integrations/nextjs.mjs", () => {
  let program: Program;
  beforeAll(async () => {
    await install();
    await buildPages();
    file = bundle(join(__dirname, "apps/next/server.mjs"), packages);
    program = await start();
  }, 600_000);
  afterAll(async () => {
    await endPrograms();
    rmSync(folder, { recursive: true, force: true });
  });

  it.each<[string, number, string]>([
    ["/", 200, "text/html; charset=utf-8"],
    ["/static", 200, "text/html; charset=utf-8"],
    ["/broken", 500, "text/html; charset=utf-8"],
    ["/nowhere", 404, "text/html; charset=utf-8"],
    ["/api/echo", 200, "application/json"],
    ["/hello.txt", 200, "text/plain; charset=UTF-8"],
  ])("%s is answered with %i, with our headers once, and is one record", async (path, status, type) => {
    const reply = await ask(program.url + path);
    expect(reply.status).toBe(status);
    expect(reply.headers.get("content-type")).toBe(type);
    expect(reply.headers.get("x-powered-by")).toBeNull();
    expect(reply.headers.get("x-content-type-options")).toBe("nosniff");
    expect(reply.headers.get("content-security-policy")!.match(/script-src/g)).toHaveLength(1);
    const vary = reply.headers.get("vary")!.split(", ");
    expect(vary).toEqual([...new Set(vary)]);
    expect(await program.record(path)).toMatchObject({
      status,
      requestId: reply.headers.get("x-request-id"),
    });
  });

  it("the page of a request has the nonce of its policy on each script", async () => {
    const { headers, text } = await ask(program.url);
    const nonce = /'nonce-([^']+)'/.exec(headers.get("content-security-policy")!)![1]!;
    const scripts = text.match(/<script\b[^>]*>/g)!;
    expect(scripts.length).toBeGreaterThan(3);
    expect(scripts.filter((script) => !script.includes(`nonce="${nonce}"`))).toEqual([]);
  });

  it("a text is compressed, once, and a file of the build may be kept for ever", async () => {
    const { headers, text } = await ask(`${program.url}/api/echo`);
    expect([headers.get("content-encoding"), JSON.parse(text).text.length]).toEqual(["gzip", 6_500]);
    const asset = /\/_next\/static\/[^"]+\.js/.exec((await ask(program.url)).text)![0];
    const script = await ask(program.url + asset);
    expect([script.status, script.headers.get("content-encoding")]).toEqual([200, "gzip"]);
    expect(script.headers.get("cache-control")).toContain("immutable");
  });

  it("the shell of a page arrives before its late part", async () => {
    const page = await stream(`${program.url}/slow`);
    await until(() => page.text.includes("waiting"));
    expect(page.text).toContain("The shell");
    expect(page.text).not.toContain("the late part");
    await until(() => page.end !== undefined);
    expect([page.end, page.text.includes("the late part")]).toEqual(["complete", true]);
  });

  it("a forged request and a body that is too long are refused before Next", async () => {
    const post = (body: string, headers: Record<string, string> = {}) =>
      ask(`${program.url}/api/echo`, { method: "POST", headers, body });
    expect(await post("four")).toMatchObject({ status: 200, text: '{"length":4}' });
    expect(
      await post("four", { Origin: "https://evil.example", "Sec-Fetch-Site": "cross-site" }),
    ).toMatchObject({
      status: 403,
    });
    expect(await post("x".repeat(1_100_000))).toMatchObject({ status: 413 });
  });

  describeInBrowser("in a browser", () => {
    it("the page comes to life under the policy; the scripts of a page that the build has rendered do not run", async () => {
      await withBrowser(async (browser) => {
        const page = await browser.newPage();
        const violations: string[] = [];
        page.on("console", (message) => {
          if (/Content.Security.Policy/.test(message.text())) violations.push(message.text());
        });
        await page.goto(program.url);
        const button = page.locator("button");
        do await button.click();
        while ((await button.textContent()) === "clicked 0"); // until React has taken over the page
        expect(violations).toEqual([]);
        await page.goto(`${program.url}/static`);
        expect(violations.length).toBeGreaterThan(0);
      });
    });
  });

  it("a browser of HTTP/2 gets the same page, with its nonce, and its late part later", async () => {
    const { key, cert } = await certificate();
    for (const [name, pem] of [
      ["key.pem", key],
      ["cert.pem", cert],
    ] as const) {
      writeFileSync(join(folder, name), pem);
    }
    const secure = await start({ TLS_KEY: join(folder, "key.pem"), TLS_CERT: join(folder, "cert.pem") });
    const session = http2.connect(secure.url, { rejectUnauthorized: false });
    let text = "";
    let parts = 0;
    const streamed = session.request({ ":path": "/slow" });
    let status: unknown;
    streamed.on("response", (headers) => void (status = headers[":status"]));
    streamed.setEncoding("utf8").on("data", (part: string) => {
      text += part;
      parts++;
    });
    await until(() => text.includes("waiting"));
    expect(text).not.toContain("the late part");
    await until(() => streamed.closed);
    expect([status, text.includes("the late part"), parts > 1]).toEqual([200, true, true]);
    expect(await secure.record("/slow")).toMatchObject({ status: 200, httpVersion: "2.0" });
    session.close();
    expect(await secure.end()).toEqual({ code: 0, signal: null });
  });

  it("SIGTERM: a page that is being sent is completed, then the process ends", async () => {
    const page = await stream(`${program.url}/slow`);
    await until(() => page.text.includes("waiting"));
    expect(page.text).not.toContain("the late part");
    expect(await program.end()).toEqual({ code: 0, signal: null });
    expect([page.end, page.text.includes("the late part")]).toEqual(["complete", true]);
    expect(program.lines.find(({ message }) => message === "closed")).toMatchObject({ forced: false });
  });

  it("next dev: a page is rendered, and the WebSocket of hot reloading opens, and does not keep the server", async () => {
    const dev = await start({ NODE_ENV: "development" });
    expect(await ask(dev.url)).toMatchObject({ status: 200, text: expect.stringContaining("Home") });
    const socket = new WebSocket(`${dev.url.replace("http", "ws")}/_next/hmr`);
    const messages: string[] = [];
    socket.on("message", (message) => messages.push(String(message))).on("error", () => {});
    await until(() => messages.length > 0 || socket.readyState === WebSocket.CLOSED);
    expect(messages.length).toBeGreaterThan(0);
    expect(await dev.end()).toMatchObject({ signal: null });
    expect(dev.lines.find(({ message }) => message === "closed")).toMatchObject({ forced: false });
  }, 300_000);
});
