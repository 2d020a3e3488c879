import http from "node:http";
import type { AddressInfo } from "node:net";
import type { Transform } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import zlib from "node:zlib";
import compression from "compression";
import type { NextFunction, Request, RequestHandler, Response } from "express";
import express5 from "express";
import { compress } from "../../../src/compress/index.js";
import { requestContext } from "../../../src/context/index.js";
import { cors } from "../../../src/cors/index.js";
import { recover } from "../../../src/recover/index.js";
import { bridgeHttp2 } from "../../../src/serve/http2/bridge.js";
import { serve } from "../../../src/serve/index.js";
import { timeout } from "../../../src/timeout/index.js";
import { expressVersions, expressWithRouter22 } from "../../support/express.js";
import { ask, closeHttp2, connectHttp2, listenHttp2 } from "../../support/http2.js";
import { memoryLogger } from "../../support/logger.js";
import { closeServers, listen, until } from "../../support/server.js";
import { callOf, closeInspectors, namesOf, openInspector, sumOf } from "./support.js";

afterEach(async () => {
  jest.restoreAllMocks();
  await closeInspectors();
  await closeServers();
  await closeHttp2();
});

const get = async (url: string, init?: RequestInit) => {
  const response = await fetch(url, init);
  return { status: response.status, text: await response.text() };
};

const WORK_MS = 20;

/** A timer that begins late in a long turn of the event loop ends too early: its time counts from the start of the turn. */
async function rest(ms: number): Promise<void> {
  const end = performance.now() + ms;
  while (performance.now() < end) await sleep(1);
}

/** Keeps the thread busy. */
function work(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

describe.each(expressVersions)("%s", (version, express) => {
  it("each layer is seen: middleware, routers, routes, mounted apps and error handlers, with its whole path", async () => {
    const app = express();
    app.use(function first(_req, _res, next) {
      next();
    });
    const inner = express();
    inner.get("/boom/:id", () => {
      throw new TypeError("broken");
    });
    const router = express.Router();
    router.use("/inner", inner);
    app.use("/api/:tenant", router);
    app.use(function answers(_error: unknown, _req: Request, res: Response, _next: NextFunction) {
      res.status(418).send("answered");
    } as never);
    const inspector = await openInspector(app);
    const { url } = await listen(app);
    for (const _twice of [1, 2]) {
      expect(await get(`${url}/api/a/inner/boom/7`)).toEqual({ status: 418, text: "answered" });
    }
    const first = await inspector.ended(1);
    const detail = await inspector.ended(2);
    const paths = detail.calls.map(({ kind, path, parent }) => [kind, path, parent]);
    expect(namesOf(detail).map((name) => name.split(" ")[0])).toEqual([
      "first",
      "router",
      "app",
      "GET",
      "unnamed",
      "answers",
    ]);
    expect(paths).toEqual([
      ["app", "/", -1],
      ["middleware", "/", 0],
      ["router", "/api/:tenant", 0],
      ["app", "/api/:tenant/inner", 2],
      ["route", "/api/:tenant/inner/boom/:id", 3],
      ["middleware", "/api/:tenant/inner/boom/:id", 4],
      ["error handler", "/", 0],
    ]);
    expect(namesOf(first)).toEqual(namesOf(detail)); // the mounted app was not known before the first request
    expect(detail.calls.map(({ ending }) => ending)).toEqual([
      "holds",
      "passed on",
      "passed an error",
      "passed an error",
      "passed an error",
      "threw",
      "answered",
    ]);
    expect(detail.answerer).toBe(6);
    expect(detail.summary).toMatchObject({
      method: "GET",
      status: 418,
      answeredBy: "answers",
      outcome: "complete",
    });
    expect(detail.fault).toMatchObject({ type: "TypeError", message: "broken" });
    expect(detail.decisions).toContainEqual({
      about: "error",
      verdict: "failed",
      text: expect.stringMatching(/^the handler of GET \S+ threw TypeError: broken — answered by answers\.$/),
      place: expect.stringMatching(/^__tests__\/tools\/inspector\/onion\.test\.ts:\d+:\d+$/),
    });
  });

  it("layers that are added after the first request are seen, and layers of a router too", async () => {
    const app = express();
    const router = express.Router();
    app.use(router);
    const inspector = await openInspector(app);
    const { url } = await listen(app);
    expect((await get(`${url}/late`)).status).toBe(404);
    router.get("/late", function lateHandler(_req, res) {
      res.send("late");
    });
    expect((await get(`${url}/late`)).text).toBe("late");
    const detail = await inspector.ended(2);
    expect(namesOf(detail)).toEqual(["router", "GET /late", "lateHandler"]);
    expect((await inspector.ended(1)).summary).toMatchObject({ status: 404, answeredBy: "Express" });
  });

  it("the layers and the app are as they were after close(), and requests that are open then are answered", async () => {
    const app = express();
    const handlers: RequestHandler[] = [
      (_req, _res, next) => next(),
      (_req, _res, next) => void setImmediate(next),
    ];
    let go: (() => void) | undefined;
    app.use(...handlers);
    const router = express.Router();
    router.get("/x", (_req, res) => {
      go = () => res.send("x");
    });
    app.use("/r", router);
    const { url } = await listen(app);
    await get(`${url}/none`);
    const before = shapeOf(app);
    const inspector = await openInspector(app);
    await get(`${url}/none`);
    expect(
      layersOf(app).some(({ own }) =>
        own.some((name) => name.startsWith("handle_") || name.startsWith("handleR")),
      ),
    ).toBe(true);
    const open = get(`${url}/r/x`);
    await until(() => go !== undefined);
    await inspector.close();
    expect(shapeOf(app)).toEqual(before);
    expect(
      layersOf(app)
        .map(({ handle }) => handle)
        .filter((handle) => handlers.includes(handle as never)),
    ).toEqual(handlers);
    go!();
    expect((await open).text).toBe("x");
    expect((await get(`${url}/none`)).status).toBe(404);
    await expect(fetch(inspector.url)).rejects.toThrow();
  });

  it("an async handler that rejects does what it does without the inspector", async () => {
    const app = express();
    app.get("/", async () => {
      await sleep(5);
      throw new RangeError("rejected");
    });
    app.use(recover({ logger: memoryLogger() }));
    const inspector = await openInspector(app);
    // In Express 4 it is an unhandled rejection, unless `serve` runs the app.
    const served = await serve(app, { port: 0, host: "127.0.0.1", signals: false });
    try {
      const { port } = served.server.address() as AddressInfo;
      expect((await get(`http://127.0.0.1:${port}`)).status).toBe(500);
    } finally {
      await served.close();
    }
    const detail = await inspector.ended("/");
    expect(callOf(detail, "unnamed /")).toMatchObject({ ending: "rejected", fault: { type: "RangeError" } });
  });

  /** The property names of each layer, and what its handle is. */
  function layersOf(app: unknown): { own: string[]; handle: unknown }[] {
    const router =
      version === "Express 4"
        ? (app as never as { _router: unknown })._router
        : (app as never as { router: unknown }).router;
    return collect((router as { stack: object[] }).stack);
  }

  function collect(stack: object[]): { own: string[]; handle: unknown }[] {
    return stack.flatMap((layer) => {
      const { handle, route } = layer as { handle: { stack?: object[] }; route?: { stack: object[] } };
      const inner = [
        ...collect(route?.stack ?? []),
        ...(Array.isArray(handle.stack) ? collect(handle.stack) : []),
      ];
      return [{ own: Reflect.ownKeys(layer).map(String), handle }, ...inner];
    });
  }

  function shapeOf(app: object): unknown {
    return {
      layers: layersOf(app),
      app: Object.getOwnPropertyDescriptor(app, "handle"),
      keys: Reflect.ownKeys(app).map(String),
    };
  }
});

it("a path that its router does not keep is found, or said to be unknown", async () => {
  const older = expressWithRouter22();
  const app = older();
  const [byText, byRegExp] = [older.Router(), older.Router()];
  app.use("/v1/:tenant", function guard(_req, _res, next) {
    next();
  });
  app.use("/v1/:tenant", byText);
  byText.use(/^\/x(\d+)/, byRegExp);
  byRegExp.get("/:id", function handler(_req, res) {
    res.send("found");
  });
  const inspector = await openInspector(app);
  const { url } = await listen(app);
  for (const path of ["/v1/a/x7/1", "/v1/b/x8/2"]) {
    expect((await get(url + path)).text).toBe("found");
    const { calls } = await inspector.ended(path);
    expect(calls.map(({ kind, path }) => [kind, path])).toEqual([
      ["app", "/"],
      ["middleware", "/v1/:tenant"],
      ["router", "/v1/:tenant"],
      ["router", "/v1/:tenant/(?)"],
      ["route", "/v1/:tenant/(?)/:id"],
      ["middleware", "/v1/:tenant/(?)/:id"],
    ]);
  }
});

describe("the times", () => {
  it("add up to the total, and each is that of its layer: down, waiting, up", async () => {
    const app = express5();
    app.use(function slowDown(_req, _res, next) {
      work(20);
      next();
    });
    app.use(function slowUp(_req, _res, next) {
      next();
      work(20);
    });
    app.use(async function waits(_req, _res, next) {
      await rest(40);
      next();
    });
    app.get("/:tries", async function handler(_req, res) {
      await rest(30);
      work(10);
      res.send("done");
    });
    const inspector = await openInspector(app);
    const { url } = await listen(app);
    let detail: Awaited<ReturnType<typeof inspector.ended>>;
    let tries = 0;
    do {
      // Again, if a busy machine held up the layers that have nothing to do before they wait.
      await get(`${url}/${tries}`);
      detail = await inspector.ended(`/${tries}`);
    } while (callOf(detail, "waits").downMs + callOf(detail, "handler").downMs > 0.5 && ++tries < 10);
    expect(sumOf(detail)).toBeCloseTo(detail.summary.totalMs!, 1);
    expect(callOf(detail, "slowDown").downMs).toBeGreaterThanOrEqual(19.9);
    expect(callOf(detail, "slowDown").upMs).toBeLessThan(callOf(detail, "slowDown").downMs);
    expect(callOf(detail, "slowUp").upMs).toBeGreaterThanOrEqual(19.9);
    // While it waits, the code of slowUp runs (and a busy machine may hold the other layers up), and that time is not counted twice.
    const upMs = detail.calls.reduce((sum, call) => sum + call.upMs, 0);
    expect(callOf(detail, "waits").heldMs + upMs).toBeGreaterThanOrEqual(39);
    expect(callOf(detail, "handler").heldMs).toBeGreaterThanOrEqual(38);
  });

  it("of the head and body are those of the middleware that works on them, ours or another package's", async () => {
    // Both write the body to such a stream, which makes a call of known length of the first write.
    let isFirst = true;
    const { _transform: transform } = zlib.createGzip() as Transform;
    jest.spyOn(zlib.Gzip.prototype as Transform, "_transform").mockImplementation(function (
      this: Transform,
      ...args
    ) {
      if (isFirst) work(WORK_MS);
      isFirst = false;
      transform.apply(this, args);
    });
    for (const [name, middleware] of [
      ["compress", compress()],
      ["compression", compression()],
    ] as const) {
      const app = express5();
      app.use(middleware);
      app.get("/", function handler(_req, res) {
        res.type("text").send("a".repeat(3_000_000) + Math.random());
      });
      const inspector = await openInspector(app);
      const { url } = await listen(app);
      const response = await fetch(url, { headers: { "Accept-Encoding": "gzip" } });
      expect(response.headers.get("content-encoding")).toBe("gzip");
      await response.text();
      const detail = await inspector.ended("/");
      expect(sumOf(detail)).toBeCloseTo(detail.summary.totalMs!, 1);
      expect(isFirst).toBe(false);
      expect(callOf(detail, name).upMs).toBeGreaterThanOrEqual(WORK_MS - 0.1);
      isFirst = true;
      expect(detail.summary.answeredBy).toBe("handler of GET /");
      const encoding = detail.responseHeaders.find((header) => header.name === "Content-Encoding")!;
      expect(encoding.setBy.map((index) => detail.calls[index]!.name)).toEqual([name]);
    }
  });

  it("add up for streams, clients that leave, and deadlines, and the calls say how they ended", async () => {
    const app = express5();
    app.use(requestContext());
    let waitedMs = 0;
    app.get("/stream", async function streams(_req, res) {
      for (let i = 0; i < 3; i++) {
        res.write("part\n");
        await new Promise(setImmediate); // Express has returned, and the part is sent: what follows is waiting alone
        const from = performance.now();
        await sleep(10);
        waitedMs += performance.now() - from;
      }
      res.end();
    });
    app.get("/hangs", function hangs() {});
    app.get("/half", function half(_req, res) {
      res.write("a part");
    });
    app.get("/slow", timeout(30), function slow(_req, res) {
      setTimeout(() => res.send("late"), 60);
    });
    const inspector = await openInspector(app);
    const { url, port } = await listen(app);

    expect((await get(`${url}/stream`)).text).toBe("part\npart\npart\n");
    const stream = await inspector.ended("/stream");
    expect(callOf(stream, "streams")).toMatchObject({ ending: "answered" });
    expect(waitedMs).toBeGreaterThan(20);
    expect(callOf(stream, "streams").heldMs).toBeGreaterThanOrEqual(waitedMs - 0.1);

    expect((await get(`${url}/slow`)).status).toBe(503);
    const slow = await inspector.ended("/slow");
    expect(slow.summary).toMatchObject({
      answeredBy: "timeout of GET /slow",
      marks: [{ kind: "timeout", text: "timed out" }],
    });
    expect(callOf(slow, "slow").ending).toBe("holds");
    expect(slow.decisions[0]).toMatchObject({ about: "timeout", verdict: "refused" });

    for (const path of ["/hangs", "/half"]) {
      const request = http.get({ port, path, host: "127.0.0.1" });
      request.on("error", () => {});
      if (path === "/half") await new Promise((resolve) => request.on("response", resolve));
      else await until(() => true);
      await until(() => request.socket?.connecting === false);
      await waitForRequest(inspector, path);
      request.destroy();
      const left = await inspector.ended(path);
      expect(left.summary).toMatchObject({ outcome: "aborted", status: path === "/hangs" ? 499 : 200 });
      expect(left.decisions).toContainEqual(expect.objectContaining({ about: "client" }));
      expect(sumOf(left)).toBeCloseTo(left.summary.totalMs!, 1);
    }
    for (const detail of [stream, slow]) expect(sumOf(detail)).toBeCloseTo(detail.summary.totalMs!, 1);
  });

  async function waitForRequest(inspector: Awaited<ReturnType<typeof openInspector>>, path: string) {
    for (let i = 0; i < 500; i++) {
      if ((await inspector.all()).requests.some((request) => request.path === path)) return;
      await sleep(5);
    }
    throw new Error(`${path} did not come`);
  }

  it("are recorded over HTTP/2 as well", async () => {
    const app = express5();
    app.use(requestContext(), cors({ origin: "https://a.example" }), compress());
    const inner = express5();
    inner.get("/x", async function inside(_req, res) {
      await sleep(5);
      res.type("text").send("y".repeat(5_000));
    });
    app.use("/inner", inner);
    for (const order of ["before", "after"]) {
      const early = order === "before" ? await openInspector(app) : undefined;
      bridgeHttp2(app);
      const { url } = await listenHttp2(app);
      const inspector = early ?? (await openInspector(app));
      const session = connectHttp2(url);
      const answer = await ask(session, "/inner/x", {
        headers: { "accept-encoding": "gzip", origin: "https://a.example" },
      });
      expect([answer.status, answer.headers["content-encoding"], answer.isWhole]).toEqual([
        200,
        "gzip",
        true,
      ]);
      const detail = await inspector.ended("/inner/x");
      expect(namesOf(detail)).toEqual([
        "requestContext",
        "cors",
        "compress",
        "mounted_app",
        "GET /inner/x",
        "inside",
      ]);
      expect(detail).toMatchObject({ httpVersion: "2.0", scheme: "https" });
      expect(
        detail.responseHeaders.find(({ name }) => name === "access-control-allow-origin")?.setBy,
      ).toEqual([2]);
      expect(sumOf(detail)).toBeCloseTo(detail.summary.totalMs!, 1);
      await inspector.close();
      expect((await ask(session, "/inner/x")).status).toBe(200);
    }
  });
});

it("what calls next twice, or passes on after it has answered, is said and changes nothing", async () => {
  const app = express5();
  app.use(function twice(_req, _res, next) {
    next();
    next();
  });
  app.use(function answersAndPasses(_req, res, next) {
    if (!res.headersSent) res.send("answered");
    next();
  });
  const inspector = await openInspector(app);
  const { url } = await listen(app);
  expect((await get(url)).text).toBe("answered");
  const detail = await inspector.ended("/");
  expect(callOf(detail, "twice").repeats).toBe(true);
  expect(detail.summary.answeredBy).toBe("answersAndPasses");
  expect(sumOf(detail)).toBeCloseTo(detail.summary.totalMs!, 1);
});
