import { execFile } from "node:child_process";
import { copyFileSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { pathToFileURL } from "node:url";
import { buildSync } from "esbuild";
import express from "express";
import request from "supertest";
import { contextOf, currentContext, requestContext } from "../../src/context/index.js";
import { offload } from "../../src/offload/index.js";
import { recover } from "../../src/recover/index.js";
import { memoryLogger } from "../support/logger.js";
import { closeServers, listen, until } from "../support/server.js";
import { inSoak, SOAK } from "../support/soak.js";
import { fixture, Gate, worker } from "./support.js";

describe("an app", () => {
  afterEach(closeServers);

  it("GET /fib/:n", async () => {
    const fibonacci = offload<number, number>(fixture("fibonacci.mjs"));
    const app = express();
    app.get("/fib/:n", async (req, res) => {
      res.json(await fibonacci(Number(req.params.n), { signal: contextOf(req).signal }));
    });
    await request(app).get("/fib/20").expect(200, "6765");
  });

  it("a full queue is a 503 with Retry-After; running and waiting requests are served, and so are later ones", async () => {
    const run = worker({ threads: 1, maxQueue: 1 });
    const gate = new Gate();
    const app = express();
    app.get("/", async (_req, res) => {
      res.json(await run(gate.order("done")));
    });
    app.use(recover({ logger: memoryLogger() }));
    const { url } = await listen(app);
    const refused: Response[] = [];
    const answers = Array.from({ length: 5 }, async () => {
      const answer = await fetch(url);
      if (answer.status === 503) refused.push(answer);
      return answer.status;
    });
    await until(() => refused.length === 3);
    gate.open();
    expect((await Promise.all(answers)).sort()).toEqual([200, 200, 503, 503, 503]);
    for (const { headers } of refused) {
      expect(headers.get("retry-after")).toBe("1");
      expect(headers.get("content-type")).toMatch(/problem\+json/);
    }
    expect((await fetch(url)).status).toBe(200);
  });

  const run = worker({ threads: 1, timeoutMs: 100 });
  it.each([
    ["a task that takes too long", { do: "forever" }, 503, "1"],
    ["a task that throws", { do: "typed" }, 500, undefined],
    ["a task that throws with a status", { do: "withStatus", status: 422 }, 422, undefined],
    ["a thread that dies", { do: "exit" }, 500, undefined],
    ["a result that cannot be copied", { do: "lambda" }, 500, undefined],
  ])("%s", async (_what, order, status, retryAfter) => {
    const app = express();
    app.get("/", async (_req, res) => {
      res.json(await run(order));
    });
    app.use(recover({ logger: memoryLogger() }));
    const answer = await request(app).get("/").expect(status);
    expect(answer.headers["retry-after"]).toBe(retryAfter);
  });

  it("a client that leaves ends its task, so that the only thread is free for the next one", async () => {
    const run = worker({ threads: 1 });
    const gate = new Gate();
    const app = express();
    app.use(requestContext());
    app.get("/held", async (req, res) => {
      res.json(await run(gate.order(), { signal: contextOf(req).signal }));
    });
    app.get("/next", async (_req, res) => {
      res.json(await run({ do: "echo", value: "next" }));
    });
    app.use(recover({ logger: memoryLogger() }));
    const { url } = await listen(app);
    const client = new AbortController();
    const held = fetch(`${url}/held`, { signal: client.signal }).catch((error: unknown) => error);
    await until(() => gate.begun === 1);
    client.abort();
    expect(await held).toMatchObject({ name: "AbortError" });
    expect(await (await fetch(`${url}/next`)).json()).toBe("next");
  });

  it("each call resolves in the async context of its own request", async () => {
    const run = worker({ threads: 1 });
    const app = express();
    app.use(requestContext());
    app.get("/", async (req, res) => {
      await run({ do: "later" });
      res.json(currentContext()?.id === contextOf(req).id);
    });
    const { url } = await listen(app);
    const answers = await Promise.all(Array.from({ length: 5 }, async () => (await fetch(url)).json()));
    expect(answers).toEqual([true, true, true, true, true]);
  });
});

describe("the event loop", () => {
  const MEASURED_MS = SOAK ? 500 : 200;

  it("the event loop answers within 50 ms (p99) while every thread is busy", async () => {
    const fibonacci = offload<number, number>(fixture("fibonacci.mjs"), { maxQueue: 1_000 });
    expect(await fibonacci(10)).toBe(55);
    const busyDelayMs = async () => {
      const delay = monitorEventLoopDelay({ resolution: 5 });
      delay.enable();
      const started = performance.now();
      let done = 0;
      while (performance.now() - started < MEASURED_MS) {
        await Promise.all(Array.from({ length: 8 }, () => fibonacci(27)));
        done += 8;
      }
      delay.disable();
      expect(done).toBeGreaterThan(0);
      return delay.percentile(99) / 1e6;
    };
    let delayMs = await busyDelayMs();
    // On a busy machine another process may have held up the loop.
    for (let i = 0; i < 5 && delayMs >= 50; i++) delayMs = await busyDelayMs();
    expect(delayMs).toBeLessThan(50);
  });

  it("the same work on the event loop blocks it, so the measurement can fail", async () => {
    const fib = (n: number): number => (n < 2 ? n : fib(n - 1) + fib(n - 2));
    const delay = monitorEventLoopDelay({ resolution: 5 });
    delay.enable();
    for (let i = 0; i < 3; i++) {
      const started = performance.now();
      while (performance.now() - started < 80) fib(20);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    delay.disable();
    expect(delay.percentile(99) / 1e6).toBeGreaterThan(50);
  });

  it("timers keep their time during a loop without end", async () => {
    const client = new AbortController();
    const forever = worker({ threads: 1 })({ do: "forever" }, { signal: client.signal }).catch(() => {});
    let quickestMs = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 5; i++) {
      const started = performance.now();
      await new Promise((resolve) => setTimeout(resolve, 30));
      quickestMs = Math.min(quickestMs, performance.now() - started);
    }
    expect(quickestMs).toBeLessThan(200);
    client.abort();
    await forever;
  });
});

describe("a process", () => {
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

  inSoak(() =>
    it("no failure ends the process or keeps it alive", async () => {
      const { code, stdout, stderr } = await run(
        installed,
        `const work = offload(WORK, { threads: 2 });
     const brief = offload(WORK, { threads: 2, timeoutMs: 50 });
     const names = ["exit", "uncaught", "rejectedAlone", "forever", "never", "typed", "lambda", "hostile", "leaveABomb"];
     const calls = names.map((name) => (["forever", "never"].includes(name) ? brief : work)({ do: name }));
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
    }),
  );

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

  inSoak(() => {
    it("idle threads let the process end", async () => {
      const { code, stdout, stderr } = await run(
        installed,
        `const fibonacci = offload(FIBONACCI, { threads: 3 });
     console.log(await Promise.all([1, 2, 3, 10].map((n) => fibonacci(n))));`,
      );
      expect([code, stdout, stderr]).toEqual([0, "[ 1, 1, 2, 55 ]\n", ""]);
    });

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
        Array.from({ length: 3 }, () =>
          expect.stringMatching(/ended before it answered: not on this thread/),
        ),
      );
    });
  });
});
