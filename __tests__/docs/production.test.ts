import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net, { type AddressInfo, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { validate } from "dockerfile-utils";
import { Deployment } from "kubernetes-models/apps/v1/Deployment";
import { Service } from "kubernetes-models/v1/Service";
import ts from "typescript";
import { parse, parseAllDocuments } from "yaml";
import { blocks, root } from "../support/markdown.js";
import { describeWith, nginx, promtool } from "../support/programs.js";
import { raw } from "../support/server.js";
import { runSnippet } from "../support/snippet.js";
import { inSoak } from "../support/soak.js";
import { diagnosticsOf, hostWith } from "../support/typescript.js";

const PAGE = "docs/production.md";
const blocksOf = (info: string) =>
  blocks(PAGE)
    .filter((block) => block.info === info)
    .map(({ code }) => code);
const blockOf = (info: string) => blocksOf(info)[0]!;
const app = blockOf("ts");
/** A number of the app's code: `delayMs: 10_000`. */
const numberOf = (name: string) =>
  Number(new RegExp(`\\b${name}: ([\\d_]+)`).exec(app)![1]!.replaceAll("_", ""));
const textOf = (name: string) => new RegExp(`\\b${name}: "([^"]+)"`).exec(app)![1]!;

const [deployment, service, pods] = parseAllDocuments(blockOf("yaml")).map((document) => {
  expect(document.errors).toEqual([]);
  return document.toJS();
});
const { spec, metadata } = deployment.spec.template;
const [container] = spec.containers;

it("the app serves, with probes that no host list refuses", async () => {
  jest.spyOn(process.stdout, "write").mockReturnValue(true); // its log
  const listen = jest.spyOn(net.Server.prototype, "listen");
  process.env.PORT = "0";
  const local = '\n  host: "127.0.0.1",\n  signals: false,';
  await runSnippet(
    app.replace("PORT ?? 8080,", `PORT ?? 8080,${local}`).replace("port: 9464,", `port: 0,${local}`),
  );
  delete process.env.PORT;
  const [scraped, server] = listen.mock.contexts as [Server, Server];
  const portOf = (one: Server) => (one.address() as AddressInfo).port;
  const ask = async (path: string, host: string, port = portOf(server)) => {
    const { text } = await raw(port, `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    return `${text.slice(9, 12)} ${text.split("\r\n\r\n")[1]}`;
  };
  while ((await ask("/readyz", "10.1.2.3:8080")) !== '200 {"status":"pass"}');
  expect(await ask("/livez", "10.1.2.3:8080")).toBe("200 ok\n");
  expect(await ask("/", "localhost")).toBe('200 {"hello":"world"}');
  expect(await ask("/", "10.1.2.3:8080")).toMatch(/^421 /);
  const metrics = await ask("/metrics", "10.1.2.3:9464", portOf(scraped));
  expect(metrics).toMatch(
    /^200 [\s\S]*http_server_request_duration_seconds_count\{.*http_route="\/",.*\} 1\n/,
  );
  expect(metrics).toContain('portico_refused_total{by="allowedHosts",reason="not-listed"} 1\n');
  for (const one of [server, scraped]) await new Promise((resolve) => one.close(resolve));
  jest.restoreAllMocks();
});

it("the probes of the deployment are those of the app", () => {
  expect(container.livenessProbe.httpGet).toEqual({ path: textOf("live"), port: 8080 });
  expect(container.readinessProbe.httpGet).toEqual({ path: textOf("ready"), port: 8080 });
  expect(app).toContain("process.env.PORT ?? 8080");
  expect(container.ports).toEqual([
    { name: "http", containerPort: 8080 },
    { name: "metrics", containerPort: numberOf("port") },
  ]);
  expect(blockOf("dockerfile")).toContain("EXPOSE 8080 9464\n");
});

it("the grace period is longer than the app's shutdown, and the delay than the readiness probe", () => {
  const shutdownMs = numberOf("delayMs") + numberOf("deadlineMs");
  expect(spec.terminationGracePeriodSeconds * 1_000).toBeGreaterThanOrEqual(shutdownMs + 1_000);
  const { periodSeconds, failureThreshold } = container.readinessProbe;
  expect(numberOf("delayMs")).toBeGreaterThanOrEqual(periodSeconds * failureThreshold * 1_000);
});

/** Errors and warnings of the validator that editors use. */
const problemsOf = (dockerfile: string) =>
  validate(dockerfile).map(({ range, message }) => `${range.start.line + 1}: ${message}`);

it("the Dockerfile is valid, and one with a mistake is not", () => {
  const dockerfile = blockOf("dockerfile");
  expect(problemsOf(dockerfile)).toEqual([]);
  expect(problemsOf(dockerfile.replace("EXPOSE", "EXPOSES"))).toEqual(["12: Unknown instruction: EXPOSES"]);
  expect(problemsOf(dockerfile.replace("8080", "http"))).toEqual([
    expect.stringMatching(/^12: Invalid containerPort: http/),
  ]);
});

/**
 * What Kubernetes' own schemas find in the manifests: values and what is missing (as JSON Schema, which allows unknown names), and
 * unknown names (as types).
 */
function problemsIn(deployed: object, ...services: object[]): string[] {
  const problems: string[] = [];
  for (const made of [
    new Deployment(deployed as never),
    ...services.map((one) => new Service(one as never)),
  ]) {
    try {
      made.validate();
    } catch (error) {
      problems.push((error as Error).message);
    }
  }
  const name = join(root, "__tests__/docs/manifests.ts");
  const text = `
    import type { IDeployment } from "kubernetes-models/apps/v1/Deployment";
    import type { IService } from "kubernetes-models/v1/Service";
    export const all: [IDeployment, ...IService[]] = ${JSON.stringify([deployed, ...services])};`;
  const options = {
    noEmit: true,
    skipLibCheck: true,
    strict: true,
    types: [],
    lib: ["lib.es2023.d.ts"], // without that of browsers, which takes long to read
    module: ts.ModuleKind.NodeNext,
  };
  const program = ts.createProgram([name], options, hostWith(options, new Map([[name, text]])));
  const found = diagnosticsOf(program, name);
  return [...problems, ...found.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, " "))];
}

inSoak(() =>
  it("the manifests are valid by Kubernetes' schemas, and those with a mistake are not", () => {
    expect(problemsIn(deployment, service, pods)).toEqual([]);
    const changed = (change: (copy: typeof deployment) => void) => {
      const copy = structuredClone(deployment);
      change(copy);
      return problemsIn(copy, service).join();
    };
    const probe = (copy: typeof deployment) => copy.spec.template.spec.containers[0].readinessProbe;
    expect(changed((copy) => delete copy.spec.selector)).toContain("must have required property selector");
    expect(changed((copy) => Object.assign(probe(copy), { periodSeconds: "5" }))).toContain(
      "must be integer",
    );
    expect(changed((copy) => Object.assign(probe(copy), { period: 5 }))).toContain(
      `'"period"' does not exist`,
    );
  }),
);

it("the service finds the pods of the deployment", () => {
  expect([deployment.kind, service.kind]).toEqual(["Deployment", "Service"]);
  expect(deployment.spec.selector.matchLabels).toEqual(metadata.labels);
  expect(service.spec.selector).toEqual(metadata.labels);
  expect(service.spec.ports[0].targetPort).toBe(8080);
});

it("the table of the shutdown has the app's times", () => {
  const delay = numberOf("delayMs") / 1_000;
  const end = delay + numberOf("deadlineMs") / 1_000;
  const page = readFileSync(join(root, PAGE), "utf8");
  expect(page).toContain(`| \`drain.delayMs\` is over | ${delay} s |`);
  expect(page).toContain(`| \`drain.deadlineMs\` is over | ${end} s |`);
  expect(page).toContain(`| \`terminationGracePeriodSeconds\` | ${spec.terminationGracePeriodSeconds} s |`);
});

it("nginx waits longer than the app, takes bodies of the same length, and passes the probes on", () => {
  const config = blockOf("nginx");
  const waits = Number(/proxy_read_timeout (\d+)s/.exec(config)![1]) * 1_000;
  expect(waits).toBeGreaterThan(numberOf("timeout"));
  expect(config).toContain(`client_max_body_size ${textOf("bodyLimit").replace("mb", "m")};`);
  expect(config).toContain(`location = ${textOf("live")} `);
  expect(config).toContain(`location = ${textOf("ready")} `);
});

it("Prometheus finds all pods of the deployment, and their port of the metrics", () => {
  const [job] = parse(blocksOf("yaml")[1]!).scrape_configs;
  expect(job.dns_sd_configs).toEqual([
    { names: [`${pods.metadata.name}.default.svc.cluster.local`], type: "A", port: 9464 },
  ]);
  expect(pods.spec).toEqual({
    clusterIP: "None",
    publishNotReadyAddresses: true,
    selector: metadata.labels,
    ports: [{ port: 9464 }],
  });
});

describeWith("prometheus", "with Prometheus", () => {
  const folder = mkdtempSync(join(tmpdir(), "portico-promtool-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  it("its configuration is valid, with the rules of the alerts", () => {
    const [, config] = blocksOf("yaml");
    writeFileSync(join(folder, "prometheus.yml"), config!);
    copyFileSync(join(root, "docs/production/alerts.yml"), join(folder, "alerts.yml"));
    const checked = execFileSync(promtool, ["check", "config", join(folder, "prometheus.yml")], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });
    expect(checked).toMatch(/SUCCESS: .*prometheus\.yml is valid[\s\S]*SUCCESS: 5 rules found/);
  });
});

describeWith("nginx", "with nginx", () => {
  const folder = mkdtempSync(join(tmpdir(), "portico-nginx-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  it("its configuration is valid", () => {
    const file = join(folder, "nginx.conf");
    const local = blockOf("nginx")
      .replace("server api:80;", "server 127.0.0.1:80;")
      .replace("listen 80;", `listen unix:${folder}/socket;`);
    const http = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
      (name) => `${name}_temp_path ${folder};`,
    );
    writeFileSync(
      file,
      `pid ${folder}/pid; error_log stderr; events {} http { access_log off; ${http.join(" ")} ${local} }`,
    );
    execFileSync(nginx, ["-t", "-q", "-e", "stderr", "-c", file], { stdio: "pipe" });
  });
});
