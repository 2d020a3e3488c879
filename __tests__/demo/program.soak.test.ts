import { type ChildProcess, exec, execFile, spawn } from "node:child_process";
import { copyFileSync, cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { buildSync } from "esbuild";
import { endings, probes } from "../../demo/pages/home.js";
import { root } from "../support/markdown.js";
import { describeWithRedis, startRedis } from "../support/redis.js";
import { until } from "../support/server.js";

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

const AS_BUILT = [join(folder, "server.mjs")];
const AS_IN_NPM_RUN_DEMO = ["--import", "tsx", "demo/server.ts"];

const run = (...args: string[]) => startProgram([...AS_BUILT, ...args]);

/** Starts the demo on free ports and waits until it listens. */
async function startProgram(args: string[], cwd = root) {
  const child = spawn(process.execPath, args, {
    cwd,
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

it("starts where the package was never built, with its inspector", async () => {
  const fresh = mkdtempSync(join(tmpdir(), "portico-demo-"));
  try {
    for (const name of ["package.json", "tsconfig.json", "demo", "scripts", "src", "tools"])
      cpSync(join(root, name), join(fresh, name), { recursive: true });
    symlinkSync(join(root, "node_modules"), join(fresh, "node_modules"));
    const { scripts } = JSON.parse(readFileSync(join(fresh, "package.json"), "utf8"));
    await promisify(exec)(scripts.predemo, { cwd: fresh });
    const { url, output } = await startProgram(AS_IN_NPM_RUN_DEMO, fresh);
    expect(await curl(`${url}/hello`)).toBe("Hello, world\n");
    const [, inspector] = /Inspector: (\S+)/.exec(output())!;
    expect(await curl("-o", "/dev/null", "-w", "%{http_code}", inspector!)).toBe("200");
  } finally {
    rmSync(fresh, { recursive: true });
  }
});

it("prints its address, and exits with 0 and a report on SIGTERM", async () => {
  const { child, url, scraped, ended, output } = await startProgram(AS_IN_NPM_RUN_DEMO);
  expect(output()).toContain(`Serving on port: ${new URL(url).port}\n`);
  expect(await curl(`${url}/hello`)).toBe("Hello, world\n");
  expect(probes.lines).toEqual(["curl -i {api}/readyz", "curl -i {api}/livez"]);
  expect(await curl("-i", `${url}/readyz`)).toMatch(/^HTTP\/1\.1 200 .*\{"status":"pass"\}/s);
  expect(await curl("-X", "POST", `${url}/database`)).toBe('{"isUp":false}');
  let ready = 200;
  for (const end = Date.now() + 20_000; ready !== 503 && Date.now() < end; ) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    ready = (await fetch(`${url}/readyz`)).status;
  }
  expect(await curl("-i", `${url}/readyz`)).toMatch(/^HTTP\/1\.1 503 .*\{"status":"fail"\}/s);
  expect(await curl("-i", `${url}/livez`)).toMatch(/^HTTP\/1\.1 200 /);
  expect(await curl(scraped)).toMatch(
    /http_server_request_duration_seconds_count\{.*route="\/hello".*\} 1\n/,
  );
  child.kill("SIGTERM");
  expect(await ended).toBe(0);
  expect(output()).toMatch(/"message":"closed","forced":false,"tasksLeft":\[\]/);
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

it.each(endings.lines)("%s is answered, and the process exits with 1", async (line) => {
  const { url, ended } = await run();
  const { stdout } = await promisify(exec)(line.replace("{api}", url));
  expect(stdout).toMatch(/^HTTP\/1\.1 500 .*Connection: close.*"instance":"\/panic-timer"/s);
  expect(await ended).toBe(1);
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
      // On a busy machine Redis may answer after the store's time limit; then the store pauses, up to seconds.
      for (let i = 1, end = Date.now() + 60_000; !second.did?.includes("hit") && Date.now() < end; i++) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        [first, second] = [await ask(demos[0]!, i), await ask(demos[1]!, i)];
      }
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
