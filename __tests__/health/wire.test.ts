import http from "node:http";
import express from "express";
import request from "supertest";
import { type Health, type HealthChecks, health } from "../../src/health/index.js";
import {
  type ConfigError,
  contextOf,
  notFound,
  recover,
  requestContext,
  type Served,
  serve,
} from "../../src/index.js";
import { certificate } from "../support/certificate.js";
import { expressVersions } from "../support/express.js";
import { ask, closeHttp2, connectHttp2 } from "../support/http2.js";
import { memoryLogger } from "../support/logger.js";
import { closeServers, listen, raw, until } from "../support/server.js";
import { SOAK } from "../support/soak.js";

const made: Health[] = [];
const opened: Served[] = [];
afterEach(async () => {
  jest.useRealTimers();
  for (const one of made.splice(0)) one.close();
  await closeHttp2();
  await closeServers();
  await Promise.all(opened.splice(0).map((served) => served.close()));
});

function make(...given: Parameters<typeof health>): Health {
  const handler = health(...given);
  made.push(handler);
  return handler;
}

async function start(app: express.Express, options: object = {}): Promise<Served> {
  const served = await serve(app, {
    port: 0,
    host: "127.0.0.1",
    signals: false,
    logger: memoryLogger(),
    drain: { idleGraceMs: 50 },
    ...options,
  });
  opened.push(served);
  return served;
}

/** Until the checks have their first results. */
const ran = () => new Promise((resolve) => setTimeout(resolve, 5));
const fails = () => {
  throw new Error("postgres://admin:secret@db.internal refused");
};

describe.each(expressVersions)("on %s", (_version, express) => {
  function app(...given: Parameters<typeof health>) {
    const handler = make(...given);
    const made = express();
    made.get("/readyz", handler);
    made.use("/mounted", handler);
    made.use(notFound(), recover({ logger: memoryLogger() }));
    return made;
  }

  it.each<[string, number, HealthChecks]>([
    ["pass", 200, { a: () => true }],
    ["warn", 200, { a: () => true, b: { check: fails, required: false } }],
    ["fail", 503, { a: () => true, b: fails }],
  ])("%s is answered with %i, and tells nothing of the checks", async (status, code, checks) => {
    const server = app({ checks });
    await ran();
    for (const path of ["/readyz", "/readyz?verbose=1", "/mounted", "/mounted/more"]) {
      const res = await request(server).get(path).expect(code);
      expect(res.text).toBe(`{"status":"${status}"}`);
      expect(res.headers).toMatchObject({
        "content-type": "application/json",
        "cache-control": "no-store",
        "content-length": String(res.text.length),
      });
      expect(res.headers).not.toHaveProperty("etag");
      const head = await request(server).head(path).expect(code);
      expect([head.text, head.headers["content-length"]]).toEqual([undefined, res.headers["content-length"]]);
    }
  });

  it("with details the answer has names, times and messages", async () => {
    const server = app({ checks: { a: () => true, b: { check: fails, required: false } }, details: true });
    await ran();
    const { body } = await request(server).get("/readyz").expect(200);
    expect(body).toEqual({
      status: "warn",
      checks: {
        a: { status: "pass", time: expect.any(String), durationMs: expect.any(Number) },
        b: {
          status: "warn",
          time: expect.any(String),
          durationMs: expect.any(Number),
          error: "postgres://admin:secret@db.internal refused",
        },
      },
    });
    expect(Math.abs(Date.parse(body.checks.a.time) - Date.now())).toBeLessThan(60_000);
  });

  it.each([
    "post",
    "put",
    "delete",
    "options",
    "patch",
  ] as const)("%s is answered with 405", async (method) => {
    const server = app({ checks: {} });
    const res = await request(server)[method]("/mounted").expect(405);
    expect(res.headers).toMatchObject({ allow: "GET, HEAD", "cache-control": "no-store" });
    expect(res.headers["content-type"]).toContain("application/problem+json");
  });

  it("a probe with a conditional header is answered in full", async () => {
    const server = app({ checks: {} });
    await request(server).get("/readyz").set("If-None-Match", "*").expect(200, { status: "pass" });
  });
});

it("a probe whose body never ends is answered at once", async () => {
  const app = express();
  app.use("/readyz", make({ checks: {} }));
  const { port } = await listen(app);
  const head =
    "GET /readyz HTTP/1.1\r\nHost: 10.1.2.3:8080\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
  expect((await raw(port, head)).text).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*\{"status":"pass"\}$/);
});

it("an app's own render writes the 405, and never the answer to a probe", async () => {
  const app = express();
  app.use(
    requestContext({ check: false, render: ({ status }, _req, res) => void res.json({ mine: status }) }),
  );
  app.use("/readyz", make({ checks: { a: fails } }));
  await ran();
  await request(app).get("/readyz").expect(503, { status: "fail" });
  await request(app).post("/readyz").expect(405, { mine: 405 });
});

it("many probes run no more checks than time allows", async () => {
  jest.useFakeTimers({
    doNotFake: ["Date", "hrtime", "nextTick", "performance", "queueMicrotask", "setImmediate", "setInterval"],
  });
  const check = jest.fn(() => true);
  const app = express();
  app.get("/readyz", make({ checks: { a: check, b: { check, everyMs: 60_000 } } }));
  const { port } = await listen(app);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 20 });
  const probe = () =>
    new Promise<number>((resolve, reject) => {
      http
        .get({ port, agent, path: "/readyz" }, (res) => {
          res.resume().on("end", () => resolve(res.statusCode!));
        })
        .on("error", reject);
    });
  const statuses = new Set<number>();
  for (let round = 0; round < 10; round++) {
    for (let i = 0; i < (SOAK ? 50 : 1); i++)
      for (const status of await Promise.all(Array.from({ length: 20 }, probe))) statuses.add(status);
    jest.advanceTimersByTime(1_000);
    await new Promise(setImmediate); // the runs' ends
  }
  agent.destroy();
  expect([...statuses]).toEqual([200]);
  // At 0, 5 and 10 s, and the other once.
  expect(check).toHaveBeenCalledTimes(4);
});

describe.each(["http", "http2"] as const)("under serve over %s", (transport) => {
  /** One answer at a time on one connection, as a load balancer asks. */
  async function open(app: express.Express, drain: object) {
    const tls = transport === "http2" ? { tls: await certificate(), http2: true } : {};
    const served = await start(app, { ...tls, drain });
    const session = transport === "http2" ? connectHttp2(served.url) : undefined;
    const probe = async (path = "/readyz") => {
      if (session !== undefined) return (await ask(session, path)).status;
      return (await fetch(`${served.url}${path}`)).status;
    };
    return { served, probe };
  }

  it("the answer is 503 from the start of the shutdown, during delayMs, when closing has not aborted", async () => {
    const app = express();
    app.get("/readyz", make({ checks: { a: () => true } }));
    app.get("/closing", (req, res) => void res.sendStatus(contextOf(req).closing.aborted ? 410 : 200));
    const { served, probe } = await open(app, { delayMs: 400, idleGraceMs: 50 });
    await until(() => true);
    await ran();
    expect(await probe()).toBe(200);
    const closed = served.close();
    expect(await probe()).toBe(503);
    expect(await probe("/closing")).toBe(200);
    expect((await closed).forced).toBe(false);
  });
});

it("with details the answer says that the server is closing", async () => {
  const app = express();
  app.get("/readyz", make({ checks: { a: () => true }, details: true }));
  const served = await start(app, { drain: { delayMs: 200, idleGraceMs: 50 } });
  await ran();
  const closed = served.close();
  const body = await (await fetch(`${served.url}/readyz`)).json();
  expect(body).toMatchObject({ status: "fail", closing: true, checks: { a: { status: "pass" } } });
  await closed;
});

it("two servers of one app: only the one that closes answers 503", async () => {
  const app = express();
  app.get("/readyz", make({ checks: {} }));
  const [closing, open] = [await start(app, { drain: { delayMs: 300 } }), await start(app)];
  const closed = closing.close();
  expect((await fetch(`${closing.url}/readyz`)).status).toBe(503);
  expect((await fetch(`${open.url}/readyz`)).status).toBe(200);
  await closed;
});

describe("options", () => {
  const problems = (given: unknown): string[] => {
    try {
      make(given as never);
    } catch (error) {
      return (error as ConfigError).problems.map(({ option, reason }) => `${option} ${reason}`);
    }
    return [];
  };

  it.each<[string, unknown, RegExp[]]>([
    ["no options", undefined, [/^checks is missing: name what the app depends on/]],
    ["no checks", {}, [/^checks is missing/]],
    ["undefined", { checks: undefined }, [/^checks is missing/]],
    ["a list", { checks: [() => true] }, [/^checks must be an object of checks by name/]],
    ["a function", { checks: () => true }, [/^checks must be an object of checks by name/]],
    ["a check that is a promise", { checks: { a: Promise.resolve() } }, [/^checks\.a must be a function/]],
    ["a check that is undefined", { checks: { a: undefined } }, [/^checks\.a must be a function/]],
    ["a check without its function", { checks: { a: {} } }, [/^checks\.a\.check is missing/]],
    ["a check without a name", { checks: { "": () => true } }, [/^checks has a check without a name/]],
    [
      "all at once",
      {
        checks: {
          a: { check: 1, timeoutMs: 0, everyMs: "5000", required: "no" },
          b: 2,
          c: { chek: () => 1 },
        },
        details: 1,
        detail: true,
      },
      [
        /^detail unknown option\. Did you mean "details"\?/,
        /^checks\.a\.check must be a function/,
        /^checks\.a\.timeoutMs must be a whole number of milliseconds from 1/,
        /^checks\.a\.everyMs .*; write 5000/,
        /^checks\.a\.required must be true or false/,
        /^checks\.b must be a function/,
        /^checks\.c\.chek unknown option\. Did you mean "check"\?/,
        /^checks\.c\.check is missing/,
        /^details must be true or false/,
      ],
    ],
    ["terminus's", { healthChecks: {} }, [/^healthChecks .*here it is `checks`/, /^checks is missing/]],
  ])("%s", (_what, given, expected) => {
    expect(problems(given)).toEqual(expected.map((one) => expect.stringMatching(one)));
  });

  it("app.use(health) without the call is an error that says so", async () => {
    const app = express();
    app.use(health as never);
    app.use(recover({ logger: memoryLogger(), expose: () => true }));
    const { body } = await request(app).get("/").expect(500);
    expect(JSON.stringify(body)).toContain("was not called");
  });
});
