import { ask, closeHttp2, connectHttp2 } from "../support/http2.js";
import { until } from "../support/server.js";
import { begin, closeAll, refusal, TRANSPORTS } from "./support.js";

afterEach(async () => {
  await closeHttp2();
  await closeAll();
});

const PATHS = { live: "/livez", ready: "/readyz" };
const down = () => Promise.reject(new Error("connect ECONNREFUSED 10.0.0.5:5432"));
const statusOf = async (url: string) => (await fetch(url, { headers: { connection: "close" } })).status;

describe.each(TRANSPORTS)("over %s", (transport) => {
  it("checks decide ready, and live is 200 whatever they say", async () => {
    const probes = { ...PATHS, checks: { database: down } };
    const { served, log, seen, wire } = await begin(transport, { probes });
    await until(() => log.length > 0);
    const client = await wire();
    await client.get("/readyz?x").heard('{"status":"fail"}');
    expect(client.answers()[0]).toMatchObject({
      status: 503,
      headers: { "content-type": "application/json", "cache-control": "no-store", connection: "close" },
    });
    const other = await wire();
    await other.get("/livez").heard("ok\n");
    if (transport === "http2") {
      const { status, body } = await ask(connectHttp2(served.url), "/readyz");
      expect([status, body]).toEqual([503, '{"status":"fail"}']);
    }
    expect(seen).toEqual([]);
    expect(log).toEqual([
      {
        level: "error",
        message: "health check failed: database: connect ECONNREFUSED 10.0.0.5:5432",
        fields: { check: "database", error: expect.objectContaining({ type: "Error" }) },
      },
    ]);
  });
});

it("ready is 503 until the first result, and each change is logged once", async () => {
  let state = () => new Promise<void>(() => {});
  const database = { check: () => state(), everyMs: 5, timeoutMs: 500 };
  const { served, log } = await begin("http", { probes: { ...PATHS, checks: { database } } });
  const url = `${served.url}/readyz`;
  expect(await statusOf(url)).toBe(503);
  state = down;
  await until(() => log.length > 0);
  expect(log[0]!.message).toContain("no result within 500 ms");
  state = async () => {};
  await until(() => log.length > 1);
  expect(await statusOf(url)).toBe(200);
  state = down;
  await until(() => log.length > 2);
  expect(await statusOf(url)).toBe(503);
  expect(log.map(({ level }) => level)).toEqual(["error", "info", "error"]);
});

it("a dependency that the whole fleet shares is optional: where it fails, all stay in rotation", async () => {
  const checks = { search: { check: down, required: false } };
  const { log, wire } = await begin("http", { probes: { ...PATHS, checks } });
  await until(() => log.length > 0);
  const client = await wire();
  await client.get("/readyz").heard('{"status":"warn"}');
  expect(client.answers()[0]!.status).toBe(200);
  expect(log[0]!.level).toBe("warn");
});

it("HEAD has the length and no body; other methods reach the app", async () => {
  const { wire } = await begin("http", { probes: { ...PATHS, checks: {} } });
  const client = await wire();
  client.send("HEAD /readyz HTTP/1.1\r\nHost: a\r\n\r\n");
  await client.heard("ength: 17");
  await client.send("POST /readyz HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").heard("/readyz");
  expect(client.text.split("\r\n\r\n")[1]).toMatch(/^HTTP/);
});

it("no check runs before the server listens, nor after the start of its shutdown", async () => {
  let runs = 0;
  const checks = { a: { check: () => void runs++, everyMs: 1 } };
  const error = await refusal({ probes: { ...PATHS, checks }, port: "no port" });
  expect(error.problems).toHaveLength(1);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(runs).toBe(0);
  const { served, wire } = await begin("http", { probes: { ...PATHS, checks }, drain: { delayMs: 150 } });
  await until(() => runs > 1);
  const closed = served.close();
  const before = runs;
  await (await wire()).get("/readyz").heard('{"status":"fail"}');
  await closed;
  expect(runs).toBe(before);
});

it("the server's own close() stops the checks too", async () => {
  let signal: AbortSignal | undefined;
  const checks = {
    a: (its: AbortSignal) => {
      signal = its;
      return new Promise(() => {});
    },
  };
  const { served } = await begin("http", { probes: { ...PATHS, checks } });
  await until(() => signal !== undefined);
  served.server.close();
  await served.closed;
  expect(signal!.reason).toMatchObject({ name: "AbortError" });
});

it.each<[string, object, string, RegExp]>([
  ["checks without ready", { live: "/livez", checks: {} }, "probes.checks", /need ready: .* live takes none/],
  ["checks alone", { checks: { a: down } }, "probes.checks", /Write ready: "\/readyz"/],
  ["checks of live", { ...PATHS, live: { path: "/livez", checks: {} } }, "probes.live", /must be a string/],
  [
    "a check that is none",
    { ...PATHS, checks: { db: "select 1" } },
    "probes.checks.db",
    /must be a function/,
  ],
  [
    "a misspelt option",
    { ...PATHS, checks: { db: { check: down, timeout: 5 } } },
    "probes.checks.db.timeout",
    /Did you mean "timeoutMs"\?/,
  ],
])("%s is a problem", async (_what, probes, option, reason) => {
  const { problems } = await refusal({ probes });
  expect(problems).toEqual([expect.objectContaining({ option, reason: expect.stringMatching(reason) })]);
});
