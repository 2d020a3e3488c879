import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { blocks, root } from "../support/markdown.js";

it("the page's program adds up what two workers count, and ends at a signal", async () => {
  const { code } = blocks("docs/metrics.md").find(({ info }) => info === "js workers")!;
  const folder = mkdtempSync(join(tmpdir(), "portico-metrics-"));
  mkdirSync(join(folder, "node_modules"));
  for (const name of ["express", "prom-client"])
    symlinkSync(join(root, "node_modules", name), join(folder, "node_modules", name));
  symlinkSync(root, join(folder, "node_modules/express-portico"));
  const file = join(folder, "app.mjs");
  // On ports that the system chooses, and the primary tells.
  const program = code
    .replace(
      "await serve(app, { port: 3000,",
      `app.get("/pid", (_req, res) => void res.send(String(process.pid)));
      const served = await serve(app, { port: 0, host: "127.0.0.1",`,
    )
    .replace("await serve(scraped, { port: 9464,", "const { url } = await serve(scraped, { port: 0,")
    .replace(/\}\s*$/, "  process.send([served.url, url]);\n}\n");
  expect(program.match(/port: 0/g)).toHaveLength(2);
  writeFileSync(file, program);
  const child = spawn(process.execPath, [file], { stdio: ["ignore", "ignore", "inherit", "ipc"] });
  const exit = new Promise((resolve) => child.once("exit", resolve));
  try {
    const [url, metricsUrl] = await new Promise<[string, string]>((resolve, reject) => {
      child.once("message", resolve as (message: unknown) => void);
      child.once("exit", (code) => reject(new Error(`the program ended with ${code}`)));
    });
    const scrape = () => fetch(`${metricsUrl}/metrics`).then((res) => res.text());
    const pids = new Set<string>();
    let asked = 0;
    for (; asked < 10 || pids.size < 2; asked++) {
      const res = await fetch(`${url}/pid`, { headers: { connection: "close" } });
      pids.add(await res.text());
    }
    expect(pids.size).toBe(2);
    const text = await eventually(async () => {
      const scraped = await scrape();
      const count = /_count\{[^}]*http_route="\/pid"[^}]*\} (\d+)/.exec(scraped)?.[1];
      if (count !== String(asked)) throw new Error(`counted ${count} of ${asked}`);
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
