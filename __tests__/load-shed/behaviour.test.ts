import { AsyncLocalStorage } from "node:async_hooks";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import express from "express";
import request from "supertest";
import { loadShed, requestContext, requestLog } from "../../src/index.js";
import { expressVersions } from "../support/express.js";
import { closeServers, listen, raw, until } from "../support/server.js";
import { inSoak } from "../support/soak.js";

afterEach(closeServers);

/** Handlers that answer when the test says so. */
function held(options: Parameters<typeof loadShed>[0]) {
  const shed = loadShed(options);
  const lines: string[] = [];
  const waiting: { name: string; answer: () => void }[] = [];
  const order: string[] = [];
  const app = express();
  app.use(
    requestContext(),
    requestLog({ format: "json", stream: { write: (text: string) => lines.push(text) > 0 } }),
  );
  app.use(shed);
  app.all("/:name", (req, res) => {
    order.push(req.params.name!);
    waiting.push({ name: req.params.name!, answer: () => res.send("ok") });
  });
  return { app, shed, waiting, order, lines, answer: () => waiting.shift()!.answer() };
}

const ask = (port: number, name: string) =>
  fetch(`http://127.0.0.1:${port}/${name}`, { headers: { connection: "close" } }).then(async (res) => {
    await res.text();
    return res;
  });

it("over the limit a request gets a 503 at once that says when to come back, and the log says why", async () => {
  const { app, shed, waiting, lines, answer } = held({ limit: 1 });
  const { port } = await listen(app);
  const first = ask(port, "first");
  await until(() => waiting.length === 1);
  const refused = await ask(port, "second");
  expect(refused.status).toBe(503);
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
  expect(Number(refused.headers.get("retry-after"))).toBeLessThanOrEqual(5);
  expect(refused.headers.get("cache-control")).toBe("no-store");
  expect(refused.headers.get("content-type")).toMatch(/^application\/problem\+json/);
  expect(shed.stats()).toEqual({ limit: 1, inFlight: 1, queued: 0, shed: 1 });
  await until(() => lines.length > 0);
  expect(JSON.parse(lines[0]!)).toMatchObject({ status: 503, refused: { by: "loadShed", reason: "limit" } });
  answer();
  expect((await first).status).toBe(200);
  expect(shed.stats().inFlight).toBe(0);
});

it("a refusal does not wait for the request's body", async () => {
  const { app, waiting, answer } = held({ limit: 1 });
  const { port } = await listen(app);
  const first = ask(port, "first");
  await until(() => waiting.length === 1);
  const { text } = await raw(
    port,
    "POST /x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 99999\r\n\r\nhalf",
  );
  expect(text).toMatch(/^HTTP\/1\.1 503 /);
  answer();
  await first;
});

it("the queue is first come, first served, and has an end", async () => {
  const { app, shed, waiting, order, answer } = held({ limit: 1, queue: 3, queueMs: 60_000 });
  const { port } = await listen(app);
  const answers = [ask(port, "0")];
  await until(() => waiting.length === 1);
  for (let i = 1; i <= 3; i++) {
    answers.push(ask(port, String(i)));
    await until(() => shed.stats().queued === i);
  }
  expect((await ask(port, "4")).status).toBe(503);
  expect(shed.stats()).toEqual({ limit: 1, inFlight: 1, queued: 3, shed: 1 });
  for (let i = 0; i < 4; i++) {
    await until(() => waiting.length === 1);
    expect(shed.stats().inFlight).toBe(1);
    answer();
  }
  expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  expect(order).toEqual(["0", "1", "2", "3"]);
  expect(shed.stats()).toMatchObject({ inFlight: 0, queued: 0 });
});

it("a request that waits too long is refused, and one that leaves the queue never reaches the handler", async () => {
  const { app, shed, waiting, order, lines, answer } = held({ limit: 1, queue: 3, queueMs: 300 });
  const { port } = await listen(app);
  const first = ask(port, "0");
  await until(() => waiting.length === 1);
  const leaving = new AbortController();
  const left = fetch(`http://127.0.0.1:${port}/left`, { signal: leaving.signal }).catch(() => "left");
  await until(() => shed.stats().queued === 1);
  leaving.abort();
  expect(await left).toBe("left");
  await until(() => shed.stats().queued === 0);
  expect((await ask(port, "late")).status).toBe(503);
  expect(lines.map((line) => JSON.parse(line).refused)).toContainEqual({ by: "loadShed", reason: "queue" });
  answer();
  await first;
  expect(order).toEqual(["0"]);
  expect(shed.stats()).toEqual({ limit: 1, inFlight: 0, queued: 0, shed: 1 });
});

it("exempt requests are neither counted nor refused; what exempt throws, and a promise, go to the error handlers", async () => {
  const shed = loadShed({
    limit: 1,
    exempt: (req) => {
      if (req.path === "/throws") throw new Error("exempt failed");
      return (req.path === "/promise" ? Promise.resolve(true) : req.path === "/live") as boolean;
    },
  });
  const app = express();
  app.use(shed);
  app.use((_req, res) => void res.json(shed.stats()));
  app.use(
    ((error, _req, res, _next) => void res.status(500).send(error.message)) as express.ErrorRequestHandler,
  );
  expect((await request(app).get("/live")).body.inFlight).toBe(0);
  expect((await request(app).get("/other")).body.inFlight).toBe(1);
  expect((await request(app).get("/throws").expect(500)).text).toContain("exempt failed");
  expect((await request(app).get("/promise").expect(500)).text).toContain("not a promise");
  expect(shed.stats().inFlight).toBe(0);
});

it("a request that has waited runs in its own async context, not in that of the one before it", async () => {
  const context = new AsyncLocalStorage<string>();
  const app = express();
  const seen: Record<string, string | undefined> = {};
  const waiting: (() => void)[] = [];
  const shed = loadShed({ limit: 1, queue: 1, queueMs: 60_000 });
  app.use((req, _res, next) => context.run(req.path, next));
  app.use(shed);
  app.use((req, res) => {
    seen[req.path] = context.getStore();
    waiting.push(() => res.send("ok"));
  });
  const { port } = await listen(app);
  const first = ask(port, "first");
  await until(() => waiting.length === 1);
  const second = ask(port, "second");
  await until(() => shed.stats().queued === 1);
  context.run("/another", waiting[0]!);
  await until(() => waiting.length === 2);
  waiting[1]!();
  expect((await Promise.all([first, second])).map(({ status }) => status)).toEqual([200, 200]);
  expect(seen).toEqual({ "/first": "/first", "/second": "/second" });
});

it("render writes the refusal, in an app's own form", async () => {
  const app = express();
  app.use(
    requestContext({
      render: (problem, _req, res) =>
        void res.json({ code: problem.status, at: res.getHeader("Retry-After") }),
    }),
  );
  const shed = loadShed({ limit: 1 });
  app.use(shed, () => {});
  const { port } = await listen(app);
  const first = fetch(`http://127.0.0.1:${port}/`).catch(() => undefined);
  await until(() => shed.stats().inFlight === 1);
  const { text } = await raw(port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  expect(text).toMatch(/^HTTP\/1\.1 503 /);
  expect(text).toMatch(/\{"code":503,"at":"[1-5]"\}$/);
  await closeServers();
  await first;
});

it("with maxDelayMs all are refused while the event loop is late, and none once it is not", async () => {
  const app = express();
  app.use(loadShed({ limit: 1_000, maxDelayMs: 100 }));
  app.get("/", (_req, res) => void res.send("ok"));
  const { port } = await listen(app);
  const status = async () => (await fetch(`http://127.0.0.1:${port}/`)).status;
  expect(await status()).toBe(200); // the measurement begins
  const busy = setInterval(() => {
    const endMs = performance.now() + 250;
    while (performance.now() < endMs);
  }, 10);
  try {
    let answer = await status();
    while (answer !== 503) answer = await status();
  } finally {
    clearInterval(busy);
  }
  while ((await status()) !== 200) await new Promise((resolve) => setTimeout(resolve, 20));
});

it.each(
  expressVersions,
)("on %s the answer of an error handler gives the place back", async (_version, from) => {
  const shed = loadShed({ limit: 1 });
  const app = from();
  app.use(shed);
  app.get("/", (_req, res) => void res.send("ok"));
  app.get("/throws", () => {
    throw new Error("no");
  });
  app.use(((_error, _req, res, _next) => void res.status(500).send("no")) as express.ErrorRequestHandler);
  for (let i = 0; i < 3; i++) {
    await request(app).get("/throws").expect(500);
    await request(app).get("/").expect(200);
    await request(app).get("/nothing").expect(404);
  }
  expect(shed.stats()).toMatchObject({ inFlight: 0, shed: 0 });
});

inSoak(() =>
  it("it leaves no timer that keeps the process alive", () => {
    const script = `
    const { loadShed } = require("express-portico");
    const express = require("express");
    const shed = loadShed({ limit: 1, queue: 1, queueMs: 600000, maxDelayMs: 60000 });
    const app = express();
    app.use(shed, (req, res) => {});
    const server = app.listen(0, "127.0.0.1", async () => {
      const { port } = server.address();
      for (let i = 0; i < 2; i++) require("http").get({ port, agent: false }).on("error", () => {});
      while (shed.stats().queued === 0) await new Promise(setImmediate);
      console.log(JSON.stringify(shed.stats()));
      server.close();
      for (const socket of sockets) socket.unref();
      clients();
    });
    const sockets = new Set();
    server.on("connection", (socket) => sockets.add(socket));
    const clients = () => { for (const one of process._getActiveHandles()) one.unref?.(); };
  `;
    const root = join(__dirname, "../..");
    const text = execFileSync(process.execPath, ["-e", script], {
      cwd: root,
      encoding: "utf8",
      timeout: 25_000,
    });
    expect(JSON.parse(text)).toMatchObject({ inFlight: 1, queued: 1 });
  }),
);

it.each<[object, RegExp]>([
  [{ limit: 0 }, /leave the middleware out/],
  [{ limit: "50" }, /write 50/],
  [{ limit: 5, maxLimit: 9 }, /no effect beside a fixed limit/],
  [{ minLimit: 50, maxLimit: 20 }, /greater than maxLimit/],
  [{ initial: 5, minLimit: 10 }, /from minLimit, 10/],
  [{ queueMs: 5 }, /without a queue/],
  [{ exempt: "/live" }, /must be a function/],
  [{ maxDelay: 5 }, /maxDelayMs/],
])("%j is a problem", (options, message) => {
  expect(() => loadShed(options)).toThrow(message);
});

it("defaults give way to what is given", () => {
  expect(loadShed().stats().limit).toBe(20);
  expect(loadShed({ maxLimit: 5 }).stats().limit).toBe(5);
  expect(loadShed({ minLimit: 50 }).stats().limit).toBe(50);
  expect(loadShed({ initial: 3 }).stats().limit).toBe(3);
});
