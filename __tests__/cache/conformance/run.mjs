// Runs the HTTP caching test suite (http-cache-tests) against an app with cache(), and prints the results as JSON. The
// suite waits three seconds wherever an answer must become stale. Here the clock is moved forward instead, so the
// tests run one after the other, with the client and the server in this one process.
import { createServer } from "node:http";
import express from "express";
import { cache } from "express-portico/cache";
import { getResults, runTests } from "http-cache-tests/client/runner.mjs";
import handleConfig from "http-cache-tests/server/handle-config.mjs";
import handleState from "http-cache-tests/server/handle-state.mjs";
import handleTest from "http-cache-tests/server/handle-test.mjs";
import suites from "http-cache-tests/tests/index.mjs";
import fetch from "node-fetch";

const now = Date.now.bind(Date);
let ahead = 0;
Date.now = () => now() + ahead;

const PAUSE_MS = 3000;
const later = globalThis.setTimeout;
globalThis.setTimeout = (callback, ms, ...args) => {
  if (ms !== PAUSE_MS) return later(callback, ms, ...args);
  ahead += PAUSE_MS;
  return setImmediate(callback, ...args);
};
console.log = () => {}; // the suite's server logs what it does

const app = express();
app.disable("x-powered-by");
app.set("etag", false);
const segments = (req) => new URL(req.originalUrl, "http://origin").pathname.split("/").slice(2);
app.use("/config", (req, res) => handleConfig(segments(req), req, res));
app.use("/state", (req, res) => handleState(segments(req), req, res));
app.use(cache());
app.use("/test", (req, res) => {
  // The suite checks the headers later.
  const seen = Object.create(req, {
    url: { value: req.originalUrl },
    headers: { value: { ...req.headers } },
  });
  handleTest(segments(req), seen, res);
});

const server = createServer(app).listen(0, "127.0.0.1", async () => {
  const only = process.argv[2];
  const chosen = only
    ? suites.map((suite) => ({ ...suite, tests: suite.tests.filter((test) => test.id === only) }))
    : suites;
  await runTests(chosen, fetch, false, `http://127.0.0.1:${server.address().port}`, 1);
  const tests = chosen
    .flatMap((suite) => suite.tests)
    .filter((test) => test.browser_only !== true)
    .map(({ id, kind = "required", depends_on = [] }) => ({ id, kind, needs: depends_on }));
  process.stdout.write(JSON.stringify({ tests, results: getResults() }));
  server.close();
  server.closeAllConnections();
});
