import { execFile } from "node:child_process";
import { copyFileSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { buildSync } from "esbuild";
import { fixture } from "./support.js";

const root = join(__dirname, "../..");
const installed = mkdtempSync(join(realpathSync(tmpdir()), "portico-offload-"));
const bare = mkdtempSync(join(realpathSync(tmpdir()), "portico-offload-"));

/** Two apps with offload built in: one with the packages of this project, one with none. */
beforeAll(() => {
  symlinkSync(join(root, "node_modules"), join(installed, "node_modules"), "junction");
  for (const folder of [installed, bare]) {
    for (const format of ["cjs", "esm"] as const) {
      buildSync({
        entryPoints: [join(root, "src/offload/index.ts")],
        bundle: true,
        external: ["piscina"],
        platform: "node",
        format,
        outfile: join(folder, format === "cjs" ? "offload.cjs" : "offload.mjs"),
        logLevel: "silent",
      });
    }
    copyFileSync(join(root, "src/offload/worker.cjs"), join(folder, "worker.cjs"));
  }
});
afterAll(() => {
  for (const folder of [installed, bare]) rmSync(folder, { recursive: true });
});

/** Runs a program to its own end. */
function run(folder: string, program: string, { args = [] as string[], from = "./offload.cjs" } = {}) {
  const file = join(folder, `program-${Math.random()}.mjs`);
  writeFileSync(
    file,
    `import { offload } from ${JSON.stringify(from)};
     const FIBONACCI = ${JSON.stringify(fixture("fibonacci.mjs"))};
     const WORK = ${JSON.stringify(fixture("work.cjs"))};
     const GREEDY = ${JSON.stringify(fixture("greedy.mjs"))};
     ${program}`,
  );
  return new Promise<{ code: unknown; stdout: string; stderr: string }>((resolve) => {
    execFile(process.execPath, [...args, file], { timeout: 20_000 }, (error, stdout, stderr) => {
      resolve({ code: error?.code ?? error?.signal ?? 0, stdout, stderr });
    });
  });
}

it("importing and making one starts nothing, and loads nothing", async () => {
  const { code, stdout } = await run(
    installed,
    `import { createRequire } from "node:module";
     offload(FIBONACCI);
     const loaded = Object.keys(createRequire(import.meta.url).cache).filter((name) => name.includes("piscina"));
     const active = process.getActiveResourcesInfo().filter((name) => /Worker|MessagePort|Timeout/.test(name));
     console.log(loaded.length, active.length);`,
  );
  expect([code, stdout]).toEqual([0, "0 0\n"]);
});

it("idle threads let the process end", async () => {
  const { code, stdout, stderr } = await run(
    installed,
    `const fibonacci = offload(FIBONACCI, { threads: 3 });
     console.log(await Promise.all([1, 2, 3, 10].map((n) => fibonacci(n))));`,
  );
  expect([code, stdout, stderr]).toEqual([0, "[ 1, 1, 2, 55 ]\n", ""]);
});

it("threads do not hold the context of the request that started them", async () => {
  const { code, stdout } = await run(
    installed,
    `import { AsyncLocalStorage } from "node:async_hooks";
     const fibonacci = offload(FIBONACCI);
     const scope = new AsyncLocalStorage();
     async function request() {
       const context = { body: "large" };
       await scope.run(context, () => fibonacci(1));
       return new WeakRef(context);
     }
     const context = await request();
     for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve, 10)).then(() => gc());
     console.log(context.deref());`,
    { args: ["--expose-gc"] },
  );
  expect([code, stdout]).toEqual([0, "undefined\n"]);
});

it("running and waiting tasks keep the process alive until they end", async () => {
  const { code, stdout } = await run(
    installed,
    `const fibonacci = offload(FIBONACCI, { threads: 1 });
     for (const n of [25, 20]) fibonacci(n).then(console.log);`,
  );
  expect([code, stdout]).toEqual([0, "75025\n6765\n"]);
});

it("no failure ends the process or keeps it alive", async () => {
  const { code, stdout, stderr } = await run(
    installed,
    `const work = offload(WORK, { threads: 2, timeoutMs: 50 });
     const names = ["exit", "uncaught", "rejectedAlone", "forever", "never", "typed", "lambda", "hostile", "leaveABomb"];
     const calls = names.map((name) => work({ do: name }));
     calls.push(work({ do: "never" }, { signal: AbortSignal.timeout(10) }));
     calls.push(work({ do: "echo", value() {} }));
     const outcomes = await Promise.allSettled(calls);
     console.log(outcomes.map(({ reason }) => typeof reason?.code === "string" ? reason.code : reason?.name).join(" "));`,
  );
  expect(stderr).toBe("");
  expect(code).toBe(0);
  const died = "ERR_OFFLOAD_WORKER_DIED";
  const late = "ERR_OFFLOAD_TIMEOUT";
  expect(stdout.trim().split(" ")).toEqual([
    ...[died, died, died, late, late, "TypeError", "ERR_OFFLOAD_RESULT", "Error", ""],
    ...["TimeoutError", "ERR_OFFLOAD_INPUT"],
  ]);
});

it("a thread that runs out of memory fails its own task", async () => {
  const { code, stdout } = await run(
    installed,
    `const greedy = offload(GREEDY, { threads: 1 });
     const fibonacci = offload(FIBONACCI, { threads: 1 });
     const [error, result] = await Promise.all([greedy(0).catch((error) => error), fibonacci(20)]);
     console.log(error.code, error.cause.code, result);`,
    { args: ["--max-old-space-size=60"] },
  );
  expect([code, stdout]).toEqual([0, "ERR_OFFLOAD_WORKER_DIED ERR_WORKER_OUT_OF_MEMORY 6765\n"]);
});

it("without piscina the first call says what to install, and so does the next", async () => {
  const { code, stdout } = await run(
    bare,
    `const fibonacci = offload(FIBONACCI);
     for (let i = 0; i < 2; i++) await fibonacci(1).catch(({ code, message }) => console.log(code, message));`,
  );
  expect(code).toBe(0);
  expect(stdout.trim().split("\n")).toEqual(
    Array.from({ length: 2 }, () => expect.stringMatching(/^ERR_OFFLOAD_PISCINA .*npm install piscina$/)),
  );
});

it("bundled without its own file, it says so", async () => {
  rmSync(join(bare, "worker.cjs"));
  const { code, stdout } = await run(
    bare,
    "await offload(FIBONACCI)(1).catch(({ message }) => console.log(message));",
  );
  expect(code).toBe(0);
  expect(stdout).toMatch(/worker\.cjs is missing.*bundler/);
});

it("runs as an ES module too", async () => {
  const { code, stdout } = await run(installed, "console.log(await offload(FIBONACCI)(20));", {
    from: "./offload.mjs",
  });
  expect([code, stdout]).toEqual([0, "6765\n"]);
});

it("threads that cannot start fail their tasks at once", async () => {
  const preload = join(installed, "preload.mjs");
  writeFileSync(
    preload,
    `import { isMainThread } from "node:worker_threads";
     if (!isMainThread) throw new Error("not on this thread");`,
  );
  const { code, stdout } = await run(
    installed,
    `const fibonacci = offload(FIBONACCI, { threads: 2 });
     for (const call of [1, 2, 3].map((n) => fibonacci(n))) await call.catch(({ message }) => console.log(message));`,
    { args: ["--import", pathToFileURL(preload).href] },
  );
  expect(code).toBe(0);
  expect(stdout.trim().split("\n")).toEqual(
    Array.from({ length: 3 }, () => expect.stringMatching(/ended before it answered: not on this thread/)),
  );
});
