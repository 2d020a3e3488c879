// Runs the HTTP caching tests (https://github.com/http-tests/cache-tests) through a reverse proxy: an Express app with
// cache() before a handler that forwards to the suite's origin server. Prints the score and the failed tests.
//
//   node scripts/cache-tests.mjs <checkout of http-tests/cache-tests, with its undici installed> [test id]
//
// Build the package first. It takes about a minute, because the suite waits three seconds for each response that must become stale.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import express from "express";
import { cache } from "express-portico/cache";

const [checkout, only] = process.argv.slice(2);
if (checkout === undefined) {
  console.error("usage: node scripts/cache-tests.mjs <checkout of http-tests/cache-tests> [test id]");
  process.exit(2);
}
const load = (path) => import(pathToFileURL(resolve(checkout, path)).href);
const { runTests, getResults } = await load("test-engine/client/runner.mjs");
const { default: suites } = await load("tests/index.mjs");

const probe = createServer().listen(0, "127.0.0.1");
await once(probe, "listening");
const originPort = probe.address().port;
probe.close();
const origin = spawn(process.execPath, ["test-engine/server/server.mjs"], {
  cwd: checkout,
  stdio: ["ignore", "pipe", "inherit"],
  env: {
    ...process.env,
    npm_config_protocol: "http",
    npm_config_port: String(originPort),
    npm_config_pidfile: join(tmpdir(), `cache-tests-${process.pid}.pid`),
  },
});
await once(origin.stdout, "data");
origin.stdout.resume();

/** Without hop-by-hop fields and those that Connection names: a proxy does not forward them (RFC 9110 section 7.6.1). */
function passedOn(raw) {
  const named = new Set([
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
  ]);
  for (let i = 0; i < raw.length; i += 2) {
    if (raw[i].toLowerCase() !== "connection") continue;
    for (const name of raw[i + 1].split(",")) named.add(name.trim().toLowerCase());
  }
  const left = [];
  for (let i = 0; i < raw.length; i += 2) {
    if (!named.has(raw[i].toLowerCase())) left.push([raw[i], raw[i + 1]]);
  }
  return left;
}

/** The headers as the cache has changed them: it asks for a whole response, or revalidates a stored one. */
function requestHeaders(req) {
  const headers = passedOn(req.rawHeaders).filter(([name]) => req.headers[name.toLowerCase()] !== undefined);
  for (const name of ["if-none-match", "if-modified-since"]) {
    const value = req.headers[name];
    const at = headers.findIndex(([written]) => written.toLowerCase() === name);
    if (value === undefined) continue;
    if (at === -1) headers.push([name, value]);
    else headers[at] = [headers[at][0], value];
  }
  return headers.flat();
}

const app = express();
app.disable("x-powered-by");
app.set("etag", false);
app.use(cache());
app.use((req, res) => {
  const asked = httpRequest({
    host: "127.0.0.1",
    port: originPort,
    method: req.method,
    path: req.originalUrl,
    headers: requestHeaders(req),
    agent: false,
  });
  asked.on("information", ({ statusCode, headers }) => {
    if (statusCode === 103 && headers.link !== undefined) res.writeEarlyHints(headers);
  });
  let answer;
  asked.on("response", (response) => {
    answer = response;
    res.sendDate = false;
    for (const [name, value] of passedOn(response.rawHeaders)) res.appendHeader(name, value);
    res.writeHead(response.statusCode, response.statusMessage);
    response.on("aborted", () => res.destroy());
    response.pipe(res);
  });
  asked.on("error", () => {
    if (answer?.complete) return; // bytes beyond the declared length
    if (res.headersSent) res.destroy();
    else res.status(502).end();
  });
  req.pipe(asked);
});
const proxy = createServer(app).listen(0, "127.0.0.1");
await once(proxy, "listening");

const chosen = suites
  .map((suite) => ({ ...suite, tests: suite.tests.filter(({ id }) => only === undefined || id === only) }))
  .filter(({ tests }) => tests.length > 0);
if (only !== undefined) for (const { tests } of chosen) tests[0].dump = true;
const log = console.log;
if (only === undefined) console.log = () => {};
await runTests(chosen, false, `http://127.0.0.1:${proxy.address().port}`);
console.log = log;

const results = getResults();
const tests = suites.flatMap((suite) => suite.tests).filter((test) => results[test.id] !== undefined);
const byId = new Map(tests.map((test) => [test.id, test]));
const isPassed = (id) =>
  results[id] === true && (byId.get(id)?.depends_on ?? []).every((other) => isPassed(other));
for (const kind of ["required", "optimal"]) {
  const ofKind = tests.filter((test) => (test.kind ?? "required") === kind);
  const failed = ofKind.filter(({ id }) => !isPassed(id));
  console.log(`${kind}: ${ofKind.length - failed.length} of ${ofKind.length}`);
  for (const { id } of failed) console.log(`  ${id}: ${JSON.stringify(results[id])}`);
}
proxy.close();
proxy.closeAllConnections();
origin.kill();
