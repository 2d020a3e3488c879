import { exec } from "node:child_process";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { Registry } from "prom-client";
import { demoApp } from "../../demo/app.js";
import { metricsApp } from "../../demo/metrics.js";
import { otherApp } from "../../demo/other.js";
import { sections } from "../../demo/pages/home.js";
import { memoryLogger } from "../support/logger.js";

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
