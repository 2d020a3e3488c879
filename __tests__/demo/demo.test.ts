import { type ChildProcess, exec, execFile, spawn } from "node:child_process";
import { copyFileSync, rmSync } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { buildSync } from "esbuild";
import { Registry } from "prom-client";
import { demoApp } from "../../demo/app.js";
import { metricsApp } from "../../demo/metrics.js";
import { otherApp } from "../../demo/other.js";
import { endings, probes, sections } from "../../demo/pages/home.js";
import { describeInBrowser, withBrowser } from "../support/browser.js";
import { memoryLogger } from "../support/logger.js";
import { root } from "../support/markdown.js";
import { describeWithRedis, startRedis } from "../support/redis.js";
import { until } from "../support/server.js";

let logged = "";
const servers: http.Server[] = [];
let api: string;
let other: string;
let metrics: string;

beforeAll(async () => {
  // Each app must know the port of the other before it is created.
  const [apiServer, otherServer] = [http.createServer(), http.createServer()];
  const registry = new Registry();
  api = `http://localhost:${await listen(apiServer)}`;
  other = `http://localhost:${await listen(otherServer)}`;
  metrics = `http://localhost:${await listen(http.createServer(metricsApp(registry, undefined)))}`;
  const log = { format: "json", stream: { write: (text: string) => void (logged += text) } } as const;
  apiServer.on(
    "request",
    demoApp({
      ownOrigin: api,
      otherOrigin: other,
      metricsOrigin: metrics,
      registry,
      fibonacci: join(__dirname, "../../demo/fibonacci.mjs"),
      load: join(__dirname, "../../demo/load.mjs"),
      log,
      recover: { logger: memoryLogger() },
    }),
  );
  otherServer.on("request", otherApp({ apiOrigin: api }));
});

afterAll(async () => {
  for (const server of servers) server.closeAllConnections();
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
});

async function listen(server: http.Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "localhost", resolve));
  return (server.address() as AddressInfo).port;
}

/** The output of each line on the demo's page, in the page's order. */
const expected: Record<string, RegExp> = {
  "curl -i {api}/hello": /^HTTP\/1\.1 200 .*Content-Security-Policy: .*Hello, world/s,
  "curl -i {api}/nothing-here": /^HTTP\/1\.1 404 .*"status":404/s,
  "curl -s {api}/headers": /"user-agent":"curl/,
  "curl -i {api}/panic": /^HTTP\/1\.1 500 .*Connection: close/s,
  "curl -i -H 'Accept: text/html' {api}/panic-async": /^HTTP\/1\.1 500 .*<!DOCTYPE html>/s,
  "curl -i {api}/panic-late": /^HTTP\/1\.1 200 .*The first half/s,
  "curl -i {api}/wrapped/panic": /^HTTP\/1\.1 500 .*"instance":"\/wrapped\/panic"/s,
  "head -c 8000000 /dev/zero | curl -i --data-binary @- {api}/upload": /HTTP\/1\.1 500 .*"status":500/s,
  'curl -i -H \'Content-Type: application/csp-report\' -d \'{"csp-report": {"blocked-uri": "inline"}}\' {api}/csp-reports':
    /^HTTP\/1\.1 204 .*\r\n\r\n$/s,
  'curl -i -H \'Content-Type: application/csp-report\' -d \'{"csp-report": {"blocked-uri": "chrome-extension"}}\' {api}/csp-reports':
    /^HTTP\/1\.1 204 .*\r\n\r\n$/s,
  "curl -s {api}/violations": /^\[\{"type":"csp-violation","blockedUrl":"inline"\}\]$/,
  "curl -i -H 'Origin: {other}' {api}/panic":
    /^HTTP\/1\.1 500 .*Access-Control-Allow-Origin: http:\/\/localhost/s,
  "curl -i -H 'Origin: https://evil.example' {api}/hello": /^HTTP\/1\.1 200 (?!.*Access-Control).*Hello/s,
  "curl -i -X OPTIONS -H 'Origin: {other}' -H 'Access-Control-Request-Method: PUT' {api}/admin":
    /^HTTP\/1\.1 204 .*Access-Control-Allow-Methods: .*PUT/s,
  "curl -i -X OPTIONS -H 'Origin: https://evil.example' -H 'Access-Control-Request-Method: PUT' {api}/hello":
    /^HTTP\/1\.1 403 (?!.*Access-Control-Allow)/s,
  "curl -i -X OPTIONS {api}/open": /^HTTP\/1\.1 200 .*Access-Control-Allow-Origin: \*/s,
  "curl -i -d amount=5 -H 'Origin: {other}' -H 'Sec-Fetch-Site: same-site' {api}/transfer":
    /^HTTP\/1\.1 403 .*Access-Control-Allow-Origin: .*"status":403.*Sec-Fetch-Site/s,
  "curl -i -d amount=5 {api}/transfer": /^HTTP\/1\.1 200 .*Transferred 5\./s,
  "curl -i -H 'Content-Type: application/json' -d '{\"name\": \"page\"}' -H 'Origin: {other}' -H 'Sec-Fetch-Site: same-site' {api}/hello":
    /^HTTP\/1\.1 200 .*"hello":"page"/s,
  "curl -i -X POST -H 'Origin: https://evil.example' {api}/hello":
    /^HTTP\/1\.1 403 (?!.*Access-Control).*"status":403.*Origin/s,
  "head -c 20000 /dev/zero | curl -i --data-binary @- {api}/hello":
    /^HTTP\/1\.1 413 .*Connection: close.*"status":413/s,
  "head -c 20000 /dev/zero | curl -i -T - -X POST -H 'Content-Type: application/json' {api}/hello":
    /^(?:HTTP\/1\.1 100 Continue\r\n\r\n)?HTTP\/1\.1 413 .*"status":413/s,
  "curl -i -H 'Host: rebound.example' {api}/hello":
    /^HTTP\/1\.1 421 (?!.*Content-Security-Policy).*"status":421.*rebound\.example/s,
  "curl -i -H 'Host: rebound.example' -H 'X-Forwarded-Host: localhost' {api}/admin":
    /^HTTP\/1\.1 421 (?!.*WWW-Authenticate).*"status":421/s,
  "curl -i -H 'Host: user@localhost' {api}/hello": /^HTTP\/1\.1 400 .*"status":400/s,
  "curl -i {api}/admin": /^HTTP\/1\.1 401 .*WWW-Authenticate: Bearer.*WWW-Authenticate: Basic/s,
  "curl -i -H 'Authorization: Bearer demo-reader' {api}/admin": /^HTTP\/1\.1 200 .*"welcome":"reader"/s,
  "curl -i -u demo:demo-password {api}/admin": /^HTTP\/1\.1 200 .*"welcome":"demo"/s,
  "curl -i -H 'Authorization: Bearer demo-reader' {api}/admin/audit": /^HTTP\/1\.1 403 /,
  "curl -i -H 'Authorization: Bearer demo-owner' {api}/admin/audit": /^HTTP\/1\.1 200 .*all is well/s,
  "curl -i {api}/slow": /^HTTP\/1\.1 503 .*This took too long/s,
  "curl -sN {api}/stream": /line 1\nline 2\nline 3\nline 4\nline 5\n/,
  "curl -s {api}/fib/32": /"fibonacci":2178309/,
  "curl -s {api}/fib/99": /"detail":"n must be a whole number/,
  "curl -i {api}/background": /^HTTP\/1\.1 202 /,
  "curl -i {api}/report": /^HTTP\/1\.1 200 .*Cache-Status: portico; fwd=uri-miss; stored.*"days":/s,
  "curl -I {api}/report": /^HTTP\/1\.1 200 .*Cache-Status: portico; hit; ttl=\d+/s,
  "curl -s -D - --compressed {api}/report":
    /^HTTP\/1\.1 200 (?=.*Content-Encoding: )(?=.*Cache-Status: portico; fwd=vary-miss; stored).*"days":/s,
  "curl -i -H 'Host: www.example' {api}/report":
    /^HTTP\/1\.1 200 .*Cache-Status: portico; fwd=uri-miss; stored/s,
  "curl -i -X POST {api}/report": /^HTTP\/1\.1 200 .*Cache-Status: portico; fwd=method/s,
  "curl -i {api}/work": /^HTTP\/1\.1 200 .*done/s,
  "curl -s {metrics}/metrics": /http_server_request_duration_seconds_count\{.*http_route="\/work".*\} 1\n/,
  "curl -s '{api}/hello?access_token=s3cret&x=1'": /Hello/,
  "curl -s '{api}/hello?x=%0d%0aa%20forged%20line' -A 'a \"quoted\" agent'": /Hello/,
};

it("every line of the demo's page has an expectation", () => {
  expect(sections.flatMap(({ lines }) => lines)).toEqual(Object.keys(expected));
});

it.each(Object.entries(expected))("%s", async (line, answer) => {
  const command = line.replaceAll("{api}", api).replaceAll("{other}", other).replaceAll("{metrics}", metrics);
  const { stdout } = await promisify(exec)(command, { shell: "/bin/bash" }).catch(
    (error: { stdout: string }) => error,
  );
  expect(stdout).toMatch(answer);
});

it("the demo logs no secret, and nothing but records", () => {
  expect(logged).toContain("access_token=REDACTED");
  expect(logged).not.toContain("s3cret");
  expect(logged.split("\n").filter((line) => line !== "" && !line.startsWith('{"time":'))).toEqual([]);
});

describeInBrowser("in a browser", () => {
  it("the page of the other origin reads what it may, and both pages obey their policy", async () => {
    await withBrowser(async (browser) => {
      const page = await browser.newPage();
      const complaints: string[] = [];
      page.on("console", (message) => {
        if (/Content Security Policy|Refused to/.test(message.text())) complaints.push(message.text());
      });
      await page.goto(`${api}/`);
      expect(await page.title()).toContain("express-portico");
      expect(await page.evaluate("getComputedStyle(document.body).maxWidth")).not.toBe("none");
      await page.goto(`${other}/`);
      await page.waitForSelector("body[data-done]");
      const rows = await page.$$eval("tbody tr", (all) =>
        all.map((row) => (row as unknown as { innerText: string }).innerText.split("\t")),
      );
      expect(rows).toEqual([
        ["GET /hello", expect.anything(), expect.stringMatching(/^200 Hello, world/)],
        ["POST /hello as JSON", expect.anything(), '200 {"hello":"browser"}'],
        ["POST /hello with 20 kB", expect.anything(), expect.stringMatching(/^413 /)],
        ["GET /panic", expect.anything(), expect.stringMatching(/^500 /)],
        ["GET /nothing-here", expect.anything(), expect.stringMatching(/^404 /)],
        ["GET /admin without credentials", expect.anything(), expect.stringMatching(/^401 /)],
        ["GET /admin with a token", expect.anything(), '200 {"welcome":"reader"}'],
        ["GET /open", expect.anything(), '200 {"open":true}'],
        ["GET /partners", expect.anything(), expect.stringContaining("hides the response from this page")],
        ["PURGE /hello", expect.anything(), expect.stringContaining("hides the response from this page")],
      ]);
      expect(await page.$$eval("td.bad", (cells) => cells.length)).toBe(0);
      expect(complaints).toEqual([]);
    });
  }, 60_000);
});

describe("as a program", () => {
  jest.setTimeout(90_000); // several processes start, on a machine that may be busy
  const children = new Set<ChildProcess>();
  afterEach(() => {
    for (const child of children) child.kill("SIGKILL");
    children.clear();
  });

  // The file that `npm run demo` starts, made into JavaScript once.
  const folder = join(root, "node_modules", ".cache", `demo-${process.pid}`);
  beforeAll(() => {
    buildSync({
      entryPoints: [join(root, "demo/server.ts")],
      outfile: join(folder, "server.mjs"),
      bundle: true,
      packages: "external",
      tsconfig: join(root, "tsconfig.json"), // its paths map express-portico to src
      platform: "node",
      format: "esm",
      banner: {
        js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
      },
    });
    for (const name of ["fibonacci.mjs", "load.mjs"])
      copyFileSync(join(root, "demo", name), join(folder, name));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const run = (...args: string[]) => startProgram(process.execPath, [join(folder, "server.mjs"), ...args]);

  /** Starts the demo on free ports and waits until it listens. */
  async function startProgram(program: string, args: string[]) {
    const child = spawn(program, args, {
      env: { ...process.env, PORT: "0", OTHER_PORT: "0", METRICS_PORT: "0" },
    });
    children.add(child);
    let output = "";
    child.stdout.on("data", (text) => void (output += text));
    child.stderr.on("data", (text) => void (output += text));
    const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
    await until(() => /metrics are at/.test(output) || child.exitCode !== null);
    const url = /Open (\S+)\/ for/.exec(output)?.[1] ?? `nowhere: ${output}`;
    const scraped = /metrics are at (\S+?)\.\n/.exec(output)?.[1] ?? `nowhere: ${output}`;
    return { child, url, scraped, ended, output: () => output };
  }

  const curl = async (...args: string[]) => (await promisify(execFile)("curl", ["-s", ...args])).stdout;

  it("prints its address, and exits with 0 and a report on SIGTERM", async () => {
    const { child, url, scraped, ended, output } = await startProgram(process.execPath, [
      "--import",
      "tsx",
      "demo/server.ts",
    ]);
    expect(output()).toContain(`Serving on port: ${new URL(url).port}\n`);
    expect(await curl(`${url}/hello`)).toBe("Hello, world\n");
    expect(probes.lines).toEqual(["curl -i {api}/readyz", "curl -i {api}/livez"]);
    expect(await curl("-i", `${url}/readyz`)).toMatch(/^HTTP\/1\.1 200 .*\{"status":"pass"\}/s);
    expect(await curl("-X", "POST", `${url}/database`)).toBe('{"isUp":false}');
    let ready = "";
    for (const end = Date.now() + 20_000; !ready.includes(" 503 ") && Date.now() < end; ) {
      ready = await curl("-i", `${url}/readyz`);
    }
    expect(ready).toMatch(/^HTTP\/1\.1 503 .*\{"status":"fail"\}/s);
    expect(await curl("-i", `${url}/livez`)).toMatch(/^HTTP\/1\.1 200 /);
    expect(await curl(scraped)).toMatch(
      /http_server_request_duration_seconds_count\{.*route="\/hello".*\} 1\n/,
    );
    child.kill("SIGTERM");
    expect(await ended).toBe(0);
    expect(output()).toMatch(/"message":"closed","forced":false,"tasksLeft":\[\]/);
  });

  it.each(endings.lines)("%s is answered, and the process exits with 1", async (line) => {
    const { url, ended } = await run();
    const { stdout } = await promisify(exec)(line.replace("{api}", url));
    expect(stdout).toMatch(/^HTTP\/1\.1 500 .*Connection: close.*"instance":"\/panic-timer"/s);
    expect(await ended).toBe(1);
  });

  it("serves HTTP/2 and HTTP/1.1 with a self-signed certificate from two workers, and one survives an uncaught error in the other", async () => {
    const { child, url, scraped, ended } = await run("--http2", "--workers", "2");
    expect(await curl("-ik", "--http2", `${url}/hello`)).toMatch(/^HTTP\/2 200 .*Hello, world/s);
    expect(await curl("-ik", "--http1.1", `${url}/hello`)).toMatch(/^HTTP\/1\.1 200 .*Hello, world/s);
    expect(await curl("-k", `${url}/`)).toContain(`curl -ki ${url}/hello`);
    const counted = await curl(scraped); // the sum of both workers
    expect(counted).toMatch(/request_duration_seconds_count\{.*route="\/hello".*\} 2\n/);
    expect(await curl("-ik", "--http2", `${url}/panic-timer`)).toMatch(/^HTTP\/2 500 /);
    expect(await curl("-ik", "--http2", `${url}/hello`)).toMatch(/^HTTP\/2 200 /);
    child.kill("SIGTERM");
    expect(await ended).toBe(0);
  });

  describeWithRedis("two of them with one Redis", () => {
    it("answer with what the other demo has stored, for the same host", async () => {
      const redis = await startRedis();
      try {
        const demos = await Promise.all([run("--redis", redis.path), run("--redis", redis.path)]);
        const ask = async ({ url }: { url: string }, attempt: number) => {
          const answer = await curl("-i", "-H", "Host: www.example", `${url}/report?${attempt}`);
          return { did: /^Cache-Status: (.*)\r$/m.exec(answer)?.[1], body: answer.split("\r\n\r\n")[1] };
        };
        let [first, second] = [await ask(demos[0]!, 0), await ask(demos[1]!, 0)];
        // On a busy machine Redis may be too late.
        for (let i = 1; i < 10 && !second.did?.includes("hit"); i++)
          [first, second] = [await ask(demos[0]!, i), await ask(demos[1]!, i)];
        expect(first.did).toBe("portico; fwd=uri-miss; stored");
        expect(second).toEqual({ did: expect.stringMatching(/^portico; hit; ttl=\d+$/), body: first.body });
        for (const { child } of demos) child.kill("SIGTERM");
        for (const { ended } of demos) expect(await ended).toBe(0);
      } finally {
        await redis.close();
      }
    });
  });

  it.each([["--http3"], ["--workers", "many"]])("refuses %s, and prints the usage", async (...args) => {
    const { ended, output } = await run(...args.filter((arg) => typeof arg === "string"));
    expect(await ended).toBe(2);
    expect(output()).toContain("npm run demo -- --workers auto");
  });
});
