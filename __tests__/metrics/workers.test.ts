import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { blocks, root } from "../support/markdown.js";
import { closeServers, listen } from "../support/server.js";

jest.setTimeout(60_000);
afterAll(closeServers);

/** A port that is free now. */
async function freePort(): Promise<number> {
  const server = await listen(() => {});
  await server.close();
  return server.port;
}

it("the page's program adds up what two workers count, and ends at a signal", async () => {
  const [appPort, metricsPort] = [await freePort(), await freePort()];
  const { code } = blocks("docs/metrics.md").find(({ info }) => info === "js workers")!;
  const folder = mkdtempSync(join(tmpdir(), "portico-metrics-"));
  mkdirSync(join(folder, "node_modules"));
  for (const name of ["express", "prom-client"])
    symlinkSync(join(root, "node_modules", name), join(folder, "node_modules", name));
  symlinkSync(root, join(folder, "node_modules/express-portico"));
  const file = join(folder, "app.mjs");
  const answersPid = 'app.get("/pid", (_req, res) => void res.send(String(process.pid)));\n';
  const program = code
    .replace("port: 3000", `port: ${appPort}, host: "127.0.0.1"`)
    .replace("port: 9464", `port: ${metricsPort}`)
    .replace("await serve(app", `${answersPid}await serve(app`);
  expect(program).toContain(`port: ${metricsPort}`);
  writeFileSync(file, program);
  const child = spawn(process.execPath, [file], { stdio: ["ignore", "ignore", "inherit"] });
  const exit = new Promise((resolve) => child.once("exit", resolve));
  try {
    const scrape = () => fetch(`http://127.0.0.1:${metricsPort}/metrics`).then((res) => res.text());
    await eventually(scrape);
    const pids = new Set<string>();
    for (let i = 0; i < 10; i++) {
      const res = await fetch(`http://127.0.0.1:${appPort}/pid`, { headers: { connection: "close" } });
      pids.add(await res.text());
    }
    expect(pids.size).toBe(2);
    const text = await eventually(async () => {
      const scraped = await scrape();
      const count = /_count\{[^}]*http_route="\/pid"[^}]*\} (\d+)/.exec(scraped)?.[1];
      if (count !== "10") throw new Error(`counted ${count} of 10`);
      return scraped;
    });
    expect(text).toContain('http_server_active_requests{http_request_method="GET"} 0');
    expect(text).toContain('portico_refused_total{by="csrf",reason="origin"} 0');
    child.kill("SIGTERM");
    expect(await exit).toBe(0);
  } finally {
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
});

async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  const started = performance.now();
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() - started > 40_000) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
