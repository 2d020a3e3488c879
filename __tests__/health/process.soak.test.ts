import { spawn } from "node:child_process";
import { join } from "node:path";

const root = join(__dirname, "../..");

/** Runs code in a process of its own, against the built package. */
function run(code: string): Promise<{ exit: number | string | null; out: string; err: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ["--input-type=module", "-e", code], { cwd: root });
    let [out, err] = ["", ""];
    child.stdout.on("data", (chunk) => (out += chunk));
    child.stderr.on("data", (chunk) => (err += chunk));
    const hung = setTimeout(() => child.kill("SIGKILL"), 20_000);
    child.on("exit", (code, signal) => {
      clearTimeout(hung);
      resolve({ exit: code ?? signal, out, err });
    });
  });
}

it.each([
  ["checks that pass", "() => true"],
  ["a check that never settles", "() => new Promise(() => {})"],
  ["a check that fails", "() => { throw new Error('down') }"],
  [
    "a check that rejects after its time",
    // Its own timer must not keep the process alive.
    "() => new Promise((_, no) => setTimeout(no, 60, new Error('late')).unref())",
  ],
])("a process with %s and nothing else ends by itself", async (_what, check) => {
  const { exit, out, err } = await run(`
    import { health } from "express-portico/health";
    health({ checks: { a: { check: ${check}, timeoutMs: 20, everyMs: 10 } } });
    setTimeout(() => console.log("worked"), 100);
  `);
  expect([exit, out, err]).toEqual([0, "worked\n", ""]);
});

it("a server with checks ends at its close, and leaves no timer", async () => {
  const { exit, out, err } = await run(`
    import http from "node:http";
    import { serve } from "express-portico";
    let aborted;
    const served = await serve((_req, res) => res.end(), {
      port: 0, host: "127.0.0.1", drain: { idleGraceMs: 10 },
      probes: { ready: "/readyz", checks: {
        hangs: { required: false, timeoutMs: 60_000, check: (signal) => new Promise(() => {
          signal.addEventListener("abort", () => { aborted = signal.reason.name; });
        }) },
        fine: { everyMs: 60_000, check: () => true },
      } },
    });
    const status = () => new Promise((resolve) => {
      http.get(served.url + "/readyz", { agent: false }, (res) => res.resume().on("close", () => resolve(res.statusCode)));
    });
    while (await status() !== 200);
    await served.close();
    await new Promise(setImmediate); // Node's own handle of the server
    const left = process.getActiveResourcesInfo().filter((name) => /Timeout|TCPServer/.test(name));
    console.log(aborted, left.length);
  `);
  expect([exit, out, err]).toEqual([0, "AbortError 0\n", expect.any(String)]);
});
