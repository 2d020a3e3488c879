import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net, { type AddressInfo, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { blocks, root } from "../support/markdown.js";
import { describeWith, nginx } from "../support/programs.js";
import { raw } from "../support/server.js";
import { runSnippet } from "../support/snippet.js";

const PAGE = "docs/production.md";
const blockOf = (info: string) => blocks(PAGE).find((block) => block.info === info)!.code;
const app = blockOf("ts");
/** A number of the app's code: `delayMs: 10_000`. */
const numberOf = (name: string) =>
  Number(new RegExp(`\\b${name}: ([\\d_]+)`).exec(app)![1]!.replaceAll("_", ""));
const textOf = (name: string) => new RegExp(`\\b${name}: "([^"]+)"`).exec(app)![1]!;

const [deployment, service] = parseAllDocuments(blockOf("yaml")).map((document) => {
  expect(document.errors).toEqual([]);
  return document.toJS();
});
const { spec, metadata } = deployment.spec.template;
const [container] = spec.containers;

it("the app serves, with probes that no host list refuses", async () => {
  jest.spyOn(process.stdout, "write").mockReturnValue(true); // its log
  const listen = jest.spyOn(net.Server.prototype, "listen");
  process.env.PORT = "0";
  await runSnippet(app.replace("PORT ?? 8080,", 'PORT ?? 8080,\n  host: "127.0.0.1",\n  signals: false,'));
  delete process.env.PORT;
  const server = listen.mock.contexts[0] as Server;
  const { port } = server.address() as AddressInfo;
  const ask = async (path: string, host: string) => {
    const { text } = await raw(port, `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    return `${text.slice(9, 12)} ${text.split("\r\n\r\n")[1]}`;
  };
  while ((await ask("/readyz", "10.1.2.3:8080")) !== '200 {"status":"pass"}');
  expect(await ask("/livez", "10.1.2.3:8080")).toBe("200 ok\n");
  expect(await ask("/", "localhost")).toBe('200 {"hello":"world"}');
  expect(await ask("/", "10.1.2.3:8080")).toMatch(/^421 /);
  await new Promise((resolve) => server.close(resolve));
  jest.restoreAllMocks();
}, 60_000);

it("the probes of the deployment are those of the app", () => {
  expect(container.livenessProbe.httpGet).toEqual({ path: textOf("live"), port: 8080 });
  expect(container.readinessProbe.httpGet).toEqual({ path: textOf("ready"), port: 8080 });
  expect(app).toContain("process.env.PORT ?? 8080");
  expect(container.ports).toEqual([{ containerPort: 8080 }]);
  expect(blockOf("dockerfile")).toContain("EXPOSE 8080\n");
});

it("the grace period is longer than the app's shutdown, and the delay than the readiness probe", () => {
  const shutdownMs = numberOf("delayMs") + numberOf("deadlineMs");
  expect(spec.terminationGracePeriodSeconds * 1_000).toBeGreaterThanOrEqual(shutdownMs + 1_000);
  const { periodSeconds, failureThreshold } = container.readinessProbe;
  expect(numberOf("delayMs")).toBeGreaterThanOrEqual(periodSeconds * failureThreshold * 1_000);
});

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
