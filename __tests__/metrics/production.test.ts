import { execFile, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import express from "express";
import { PROMETHEUS_NAMES } from "../../src/metrics/registry.js";
import { root } from "../support/markdown.js";
import { describeWith, prometheus, promtool } from "../support/programs.js";
import { closeServers, listen } from "../support/server.js";
import { inSoak } from "../support/soak.js";
import { ended, inRegistry } from "./support.js";

const run = promisify(execFile);
const folder = join(root, "docs/production");
afterEach(closeServers);

/** The names in Prometheus, and the labels of each. */
const LABELS: Record<string, readonly string[]> = {
  [PROMETHEUS_NAMES.duration]: [
    "http_request_method",
    "http_route",
    "http_response_status_code",
    "error_type",
    "le",
  ],
  [PROMETHEUS_NAMES.active]: ["http_request_method"],
  [PROMETHEUS_NAMES.refused]: ["by", "reason"],
  [PROMETHEUS_NAMES.cache]: ["result"],
};
/** Of the scrape. */
const TARGET = ["job", "instance"];

/** The metrics and labels of a query that do not exist. */
function unknownIn(query: string): string[] {
  const found: string[] = [];
  const known = new Set<string>(TARGET);
  const names = [...query.matchAll(/\b(?:http_server|portico)_\w+/g)].map(([name]) => name);
  if (names.length === 0) found.push(`no metric in ${query}`);
  for (const name of names) {
    const labels = LABELS[name] ?? LABELS[name.replace(/_(?:bucket|count|sum)$/, "")];
    if (labels === undefined) found.push(name);
    for (const label of labels ?? []) known.add(label);
  }
  const matched = [...query.matchAll(/\{([^}]*)\}/g)].flatMap(([, inside]) =>
    [...inside!.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label]) => label!),
  );
  const grouped = [...query.matchAll(/\b(?:by|without) \(([^)]*)\)/g)].flatMap(([, list]) =>
    list!.split(/,\s*/),
  );
  return [...found, ...[...matched, ...grouped].filter((label) => !known.has(label))];
}

interface Dashboard {
  readonly panels: readonly { title: string; targets: readonly { expr: string; legendFormat: string }[] }[];
  readonly templating: { readonly list: readonly { name: string; query: string | { query: string } }[] };
}
const dashboard = JSON.parse(readFileSync(join(folder, "dashboard.json"), "utf8")) as Dashboard;
const targets = dashboard.panels.flatMap(({ title, targets }) =>
  targets.map((target) => [title, target] as const),
);

describe("the dashboard", () => {
  it.each(targets)("%s: each metric and label exists", (_title, { expr, legendFormat }) => {
    expect(unknownIn(expr)).toEqual([]);
    const shown = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label!);
    expect(shown.filter((label) => !new RegExp(`by \\([^)]*\\b${label}\\b`).test(expr))).toEqual([]);
  });

  it("shows every metric, and every label of each", () => {
    const all = targets.map(([, { expr }]) => expr).join("\n");
    for (const [name, labels] of Object.entries(LABELS)) {
      expect(all).toContain(name);
      for (const label of labels) expect(all).toMatch(new RegExp(`\\b${label}\\b`));
    }
  });

  it("its variables read a metric that exists", () => {
    const queries = dashboard.templating.list.flatMap(({ query }) =>
      typeof query === "string" ? [] : [query.query],
    );
    expect(queries).toHaveLength(2);
    for (const query of queries) expect(unknownIn(query)).toEqual([]);
  });

  it("a name or label that does not exist is found", () => {
    expect(unknownIn('sum by (path) (rate(http_server_requests_total{status="500"}[5m]))')).toEqual([
      "http_server_requests_total",
      "status",
      "path",
    ]);
  });
});

describeWith("prometheus", "Prometheus", () => {
  it("accepts the rules of the alerts, and their tests pass", async () => {
    const checked = await run(promtool, ["check", "rules", "alerts.yml"], { cwd: folder });
    expect(checked.stdout).toContain("SUCCESS: 5 rules found");
    await run(promtool, ["test", "rules", "alerts.test.yml"], { cwd: folder });
  });

  inSoak(() =>
    it("scrapes the metrics, and answers the queries of the dashboard", async () => {
      const { registry, handler, read } = inRegistry();
      const app = express();
      app.get(
        "/metrics",
        async (_req, res) => void res.type(registry.contentType).send(await registry.metrics()),
      );
      app.use(handler);
      app.get("/item/:id", (_req, res) => void res.send("x"));
      const { url, port } = await listen(app);
      await fetch(`${url}/item/1`);
      await ended(read, PROMETHEUS_NAMES.duration, 1);
      await withPrometheus(port, async (query) => {
        const counted = await until(query, `${PROMETHEUS_NAMES.duration}_count`);
        expect(counted).toMatchObject([
          {
            metric: {
              http_request_method: "GET",
              http_route: "/item/:id",
              http_response_status_code: "200",
              job: "app",
            },
            value: [expect.any(Number), "1"],
          },
        ]);
        expect(counted[0]!.metric).not.toHaveProperty("error_type"); // an empty label is none
        expect(await query('portico_refused_total{by="csrf"}')).toHaveLength(3);
        for (const [, { expr }] of targets) {
          const concrete = expr
            .replaceAll("$__rate_interval", "1m")
            .replaceAll(/\$(?:job|instance)\b/g, ".*");
          expect(Array.isArray(await query(concrete))).toBe(true);
        }
      });
    }),
  );
});

type Query = (expr: string) => Promise<{ metric: Record<string, string>; value: [number, string] }[]>;

async function until(query: Query, expr: string) {
  const started = performance.now();
  for (;;) {
    const result = await query(expr).catch(() => []);
    if (result.length > 0) return result;
    if (performance.now() - started > 45_000) throw new Error(`Prometheus has no ${expr}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Starts a Prometheus that scrapes the port each second. */
async function withPrometheus(port: number, use: (query: Query) => Promise<void>): Promise<void> {
  const data = mkdtempSync(join(tmpdir(), "portico-prometheus-"));
  writeFileSync(
    join(data, "prometheus.yml"),
    `scrape_configs: [{ job_name: app, scrape_interval: 1s, static_configs: [{ targets: ["127.0.0.1:${port}"] }] }]\n`,
  );
  const args = [
    `--config.file=${data}/prometheus.yml`,
    `--storage.tsdb.path=${data}/tsdb`,
    "--web.listen-address=127.0.0.1:0",
  ];
  const child = spawn(prometheus, args, { stdio: ["ignore", "ignore", "pipe"] });
  const exit = new Promise((resolve) => child.once("exit", resolve));
  try {
    const own = await new Promise<string>((resolve, reject) => {
      let printed = "";
      child.once("exit", () => reject(new Error(`Prometheus ended: ${printed}`)));
      child.stderr.on("data", (chunk) => {
        printed += chunk;
        const [, address] = /"Listening on" address=(\S+)/.exec(printed) ?? [];
        if (address !== undefined) resolve(address);
      });
    });
    await use(async (expr) => {
      const body = new URLSearchParams({ query: expr });
      const res = await fetch(`http://${own}/api/v1/query`, { method: "POST", body });
      const answer = (await res.json()) as { status: string; error?: string; data: { result: never } };
      if (answer.status !== "success") throw new Error(`${expr}: ${answer.error}`);
      return answer.data.result;
    });
  } finally {
    child.kill("SIGKILL");
    await exit;
    rmSync(data, { recursive: true, force: true });
  }
}
