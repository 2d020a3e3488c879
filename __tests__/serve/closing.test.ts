import http from "node:http";
import https from "node:https";
import express, { type Response } from "express";
import { compress } from "../../src/compress/index.js";
import { contextOf, requestContext } from "../../src/context/index.js";
import { ask, closeHttp2, connectHttp2 } from "../support/http2.js";
import { closeServers, listen, raw, until } from "../support/server.js";
import { oneIn } from "../support/soak.js";
import { begin, closeAll, type Listener, type Scene, TRANSPORTS, timed } from "./support.js";

describe("closing", () => {
  afterEach(async () => {
    await closeHttp2();
    await closeAll();
    await closeServers();
  });

  const DRAIN = { idleGraceMs: 20, deadlineMs: 10_000 };

  describe("Served.closing and contextOf(req).closing", () => {
    it("abort when the shutdown begins, once every new response says that the connection closes", async () => {
      let answer: (() => void) | undefined;
      const { served, wire } = await begin("http", {}, (req, res) => {
        const { closing } = contextOf(req);
        expect(closing.aborted).toBe(false);
        expect(contextOf(req).closing).toBe(closing);
        closing.addEventListener("abort", () => res.end(String(closing.reason.name)));
        answer = () => res.end();
      });
      const client = await wire();
      client.get("/");
      await until(() => answer !== undefined);
      expect(served.closing.aborted).toBe(false);
      const closed = served.close();
      expect(served.closing.aborted).toBe(true);
      await client.heard("AbortError");
      expect(client.answers()[0]!.headers.connection).toBe("close");
      expect((await closed).forced).toBe(false);
    });

    it("abort after delayMs, not before", async () => {
      const { served, wire } = await begin("http", { drain: { ...DRAIN, delayMs: 150 } }, (req, res) => {
        res.end(`aborted: ${contextOf(req).closing.aborted}`);
      });
      const closed = served.close();
      const begun = performance.now();
      const client = await wire();
      await client.get("/").heard("aborted: false");
      await new Promise((resolve) => served.closing.addEventListener("abort", resolve));
      expect(performance.now() - begun).toBeGreaterThan(100);
      await closed;
    });

    it("are aborted for a request that comes, or asks, later", async () => {
      const { served, wire } = await begin(
        "http",
        { drain: { ...DRAIN, idleGraceMs: 2_000 } },
        (req, res) => {
          res.end(`aborted: ${contextOf(req).closing.aborted}`);
        },
      );
      const client = await wire();
      await client.get("/").heard("aborted: false");
      const closed = served.close();
      await client.get("/").heard("aborted: true");
      await closed;
    });

    it("abort also when the program calls the server's own close()", async () => {
      const { served } = await begin("http", {});
      served.server.close();
      await served.closed;
      expect(served.closing.aborted).toBe(true);
    });

    it("never abort for a request that was answered before", async () => {
      const signals: AbortSignal[] = [];
      const app = express();
      app.get("/", (req, res) => {
        signals.push(contextOf(req).closing);
        res.send("answered");
      });
      const { served, wire } = await begin("http", {}, app);
      await (await wire()).get("/").heard("answered");
      await served.close();
      expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
    });

    it("never abort on a server that serve() did not start", async () => {
      const app = express();
      app.use(requestContext());
      app.get("/", (req, res) => void res.json(contextOf(req).closing.aborted));
      const { port } = await listen(app);
      expect((await raw(port, "GET / HTTP/1.0\r\n\r\n")).text).toMatch(/\r\n\r\nfalse$/);
    });

    it("abort on HTTP/2 and TLS", async () => {
      const held: [AbortSignal, Response][] = [];
      const app = express();
      app.get("/", (req, res) => void held.push([contextOf(req).closing, res]));
      const { served, wire } = await begin("http2", { drain: DRAIN }, app);
      const reply = ask(connectHttp2(served.url), "/");
      const client = await wire();
      client.get("/");
      await until(() => held.length === 2);
      expect(held.map(([{ aborted }]) => aborted)).toEqual([false, false]);
      const closed = served.close();
      expect(held.map(([{ aborted }]) => aborted)).toEqual([true, true]);
      for (const [, res] of held) res.end("bye");
      expect(await reply).toMatchObject({ status: 200, body: "bye" });
      await client.heard("bye");
      expect((await closed).forced).toBe(false);
    });
  });

  /** Event streams of several kinds, and responses that are none. */
  function streams(): { readonly app: Listener; readonly errors: unknown[]; readonly open: Set<string> } {
    const errors: unknown[] = [];
    const open = new Set<string>();
    const app = express();
    app.disable("x-powered-by");
    app.set("env", "test");
    app.use((req, res, next) => {
      open.add(req.path);
      res.on("close", () => open.delete(req.path));
      res.on("error", (error) => errors.push(error));
      next();
    });
    app.get("/quiet", (_req, res) => {
      res.set("Content-Type", "text/event-stream; charset=utf-8");
      res.write("data: 1\n\n");
    });
    app.get("/head-only", (_req, res) => {
      res.writeHead(200, { "content-type": "Text/Event-Stream" });
      res.flushHeaders();
    });
    app.get("/late", (_req, res) => {
      res.type("text/event-stream").write("data: 1\n\n");
      const { end } = res;
      res.end = function (this: Response, ...args: []) {
        // Late writes of a handler that does not know of the end.
        setImmediate(() => {
          res.write("data: late\n\n");
          res.end();
        });
        return end.apply(this, args as never);
      };
    });
    app.get("/busy", (_req, res) => {
      res.type("text/event-stream");
      const timer = setInterval(() => res.write("data: more\n\n"), 50);
      res.on("close", () => clearInterval(timer));
    });
    app.get("/compressed", compress({ threshold: 0 }), (_req, res) => {
      res.type("text/event-stream").write("data: 1\n\n");
    });
    app.get("/download", (_req, res) => void res.type("text/plain").write("begun"));
    app.get("/not", (_req, res) => void res.type("text/event-streams").write("begun"));
    return { app, errors, open };
  }

  describe.each([...oneIn(2, TRANSPORTS), "h2"] as const)("event streams over %s", (transport) => {
    async function scene(drain: object) {
      const { app, errors, open } = streams();
      const { served, port } = await begin(transport === "h2" ? "http2" : transport, { drain }, app);
      const get = (path: string): Promise<{ body: string; isWhole: boolean }> => {
        if (transport === "h2") return ask(connectHttp2(served.url), path) as never;
        const { get } = transport === "http" ? http : https;
        return new Promise((resolve) => {
          get({ port, host: "127.0.0.1", path, rejectUnauthorized: false, agent: false }, (res) => {
            let body = "";
            res.on("data", (chunk) => (body += chunk));
            res.on("error", () => {});
            res.on("close", () => resolve({ body, isWhole: res.complete }));
          }).on("error", () => {}); // the response emits it as well
        });
      };
      return { served, get, errors, open };
    }

    it("that write nothing for a second are ended completely, and nothing was forced", async () => {
      const { served, get, errors, open } = await scene(DRAIN);
      const paths = ["/quiet", "/head-only", "/late", "/compressed"];
      const replies = paths.map(get);
      await until(() => open.size === paths.length);
      const begun = performance.now();
      const report = await served.close();
      expect(report.forced).toBe(false);
      expect(performance.now() - begun).toBeGreaterThan(950);
      expect(report.durationMs).toBeLessThan(6_000);
      const [quiet, headOnly, late] = await Promise.all(replies);
      expect(quiet).toMatchObject({ body: "data: 1\n\n", isWhole: true });
      expect(headOnly).toMatchObject({ body: "", isWhole: true });
      expect(late).toMatchObject({ body: "data: 1\n\n", isWhole: true });
      expect(await replies[3]).toMatchObject({ isWhole: true });
      expect(errors).toEqual([]);
    });

    it("that still write continue until the deadline, like other responses, and are then reset", async () => {
      const { served, get, open } = await scene({ idleGraceMs: 20, deadlineMs: 1_500 });
      const paths = ["/busy", "/download", "/not", "/quiet"];
      const replies = paths.map(get);
      await until(() => open.size === paths.length);
      const report = await served.close();
      expect(report.forced).toBe(true);
      expect(report.durationMs).toBeGreaterThanOrEqual(1_499);
      const [busy, download, not, quiet] = await Promise.all(replies);
      expect([busy, download, not, quiet].map((reply) => reply!.isWhole)).toEqual([
        false,
        false,
        false,
        true,
      ]);
      expect(busy!.body.split("more").length).toBeGreaterThan(10);
    });
  });

  it("an event stream that begins during the shutdown is ended as well", async () => {
    const { app } = streams();
    const { served, wire } = await begin("http", { drain: { idleGraceMs: 3_000, deadlineMs: 10_000 } }, app);
    const client = await wire();
    await client.get("/missing").heard("404");
    const closed = served.close();
    client.get("/quiet");
    await client.heard("data: 1");
    expect((await closed).forced).toBe(false);
    expect(await client.ended()).toBe("fin");
    expect(client.text.endsWith("0\r\n\r\n")).toBe(true);
  });

  it("a response that had begun with keep-alive and ends after the grace leaves its client time for the next request", async () => {
    const { served, held, wire } = await begin("http", { drain: { idleGraceMs: 300, deadlineMs: 10_000 } });
    const [client, other] = await Promise.all([wire(), wire()]);
    client.get("/stream/1");
    await client.heard("begun");
    const closed = served.close();
    await other.ended(); // the grace is over
    (await held("/stream/1")).end("end");
    await client.heard("\r\n0\r\n\r\n");
    client.get("/next");
    await client.heard("/next");
    expect(client.answers().map(({ headers }) => headers.connection)).toEqual(["keep-alive", "close"]);
    expect(await client.ended()).toBe("fin");
    expect((await closed).forced).toBe(false);
  });

  it("requests that have arrived when the grace ends are answered, however late a busy server reads them", async () => {
    const { served, wire } = await begin("http", { drain: { idleGraceMs: 50, deadlineMs: 5_000 } });
    const clients = await Promise.all(Array.from({ length: 20 }, wire));
    await Promise.all(clients.map((client) => client.get("/first").heard("/first")));
    const closed = served.close();
    await new Promise<void>((resolve) => setTimeout(resolve, 10));
    for (const client of clients) client.get("/second");
    await new Promise<void>((resolve) => process.nextTick(resolve)); // they are sent
    const end = performance.now() + 120; // and are not read before the grace is over
    while (performance.now() < end);
    await Promise.all(clients.map((client) => client.heard("/second")));
    expect((await closed).forced).toBe(false);
  });

  it("a request counts as under way from the server's 'request' event, whichever listener answers it", async () => {
    const { served, wire } = await begin("http", { drain: { idleGraceMs: 10, deadlineMs: 5_000 } });
    const held: http.ServerResponse[] = [];
    const listeners = served.server.listeners("request") as http.RequestListener[];
    served.server.removeAllListeners("request");
    served.server.on("request", (req: http.IncomingMessage, res: http.ServerResponse) => {
      if (req.url !== "/theirs") for (const listener of listeners) listener(req, res);
      else held.push(res);
    });
    served.server.on("checkContinue", (req: http.IncomingMessage, res: http.ServerResponse) => {
      res.writeContinue();
      served.server.emit("request", req, res);
    });
    const [client, idle, upload] = await Promise.all([wire(), wire(), wire()]);
    client.get("/theirs");
    upload.send("POST /theirs HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n");
    await until(() => held.length === 2);
    const closed = served.close();
    await idle.ended();
    for (const res of held) res.end("theirs");
    await Promise.all([client.heard("theirs"), upload.heard("theirs")]);
    expect(client.answers()[0]!.headers.connection).toBe("close");
    expect((await closed).forced).toBe(false);
  });
});

describe("limits", () => {
  afterAll(async () => {
    await closeHttp2();
    await closeAll();
  });

  /** Node checks the limits once a second: these tests run at the same time, so that they wait together. */
  const started: (() => void)[] = [];
  beforeAll(() => {
    for (const start of started) start();
  });

  function together(name: string, run: () => Promise<void>): void {
    let running: Promise<void>;
    started.push(() => {
      running = run();
      running.catch(() => {}); // the test reports it
    });
    it(name, () => running);
  }

  function limit(
    { served }: Scene,
    limits: Partial<Pick<http.Server, "headersTimeout" | "requestTimeout" | "keepAliveTimeout">>,
  ) {
    Object.assign(served.server, limits);
  }

  it.each(TRANSPORTS)("the limits over %s are as documented", async (transport) => {
    const { served } = await begin(transport);
    expect(served.server).toMatchObject({
      headersTimeout: 15_000,
      requestTimeout: 300_000,
      keepAliveTimeout: 65_000,
    });
  });

  describe.each(oneIn(2, TRANSPORTS))("over %s", (transport) => {
    for (const [what, sent] of [
      ["a head that stops half-way", "GET / HTTP/1.1\r\nHost: a\r\nX-Slow: "],
      ["a request line that stops half-way", "GET /"],
    ] as const)
      together(`${what} is answered with 408, and logged`, async () => {
        const scene = await begin(transport);
        limit(scene, { headersTimeout: 100 });
        const client = await scene.wire();
        client.send(sent);
        const tookMs = await timed(client.heard("408 Request Timeout"));
        expect(tookMs).toBeLessThan(2_500); // and not after Node's half a minute between two checks
        expect(await client.ended()).toBe("fin");
        expect(scene.log).toEqual([
          expect.objectContaining({
            level: "warn",
            fields: {
              status: 408,
              code: "ERR_HTTP_REQUEST_TIMEOUT",
              reason: "Request timeout",
              remoteAddress: "127.0.0.1",
            },
          }),
        ]);
      });

    together("a head that trickles in is no better", async () => {
      const scene = await begin(transport);
      limit(scene, { headersTimeout: 300 });
      const client = await scene.wire();
      client.send("GET / HTTP/1.1\r\nHost: a\r\n");
      const trickle = setInterval(() => client.socket.writable && client.send("X: y\r\n"), 30);
      await client.heard("408 Request Timeout");
      clearInterval(trickle);
      expect(scene.log).toHaveLength(1);
    });

    together("a body that stops half-way is answered with 408 in its request's place", async () => {
      const scene = await begin(transport);
      limit(scene, { headersTimeout: 50, requestTimeout: 100 });
      const client = await scene.wire();
      client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
      await client.heard("408 Request Timeout");
      expect(client.answers()).toHaveLength(1);
      expect(await client.ended()).toBe("fin");
      expect(scene.log).toHaveLength(1);
    });

    together("a connection on which nothing comes is closed without a word", async () => {
      const scene = await begin(transport);
      limit(scene, { headersTimeout: 100 });
      const client = await scene.wire();
      expect(await client.ended()).toBe("fin");
      expect([client.text, scene.log]).toEqual(["", []]);
    });

    together("an idle connection outlives the limit for heads, and ends with its own", async () => {
      const scene = await begin(transport);
      limit(scene, { headersTimeout: 100, requestTimeout: 200, keepAliveTimeout: 1_500 });
      const client = await scene.wire();
      await client.get("/one").heard("/one");
      await new Promise((resolve) => setTimeout(resolve, 1_300)); // longer than both limits and a check
      await client.get("/two").heard("/two");
      expect(client.end).toBeUndefined();
      const tookMs = await timed(client.ended());
      expect(tookMs).toBeGreaterThan(1_300);
      expect(scene.log).toEqual([]);
    });

    together("a slow answer is no slow request", async () => {
      const scene = await begin(transport);
      limit(scene, { headersTimeout: 50, requestTimeout: 100, keepAliveTimeout: 50 });
      const client = await scene.wire();
      client.get("/hold/1");
      const res = await scene.held("/hold/1");
      await new Promise((resolve) => setTimeout(resolve, 1_200));
      res.send("at last");
      await client.heard("at last");
      expect(scene.log).toEqual([]);
    });
  });

  together("a slow second request is answered after what is under way", async () => {
    const scene = await begin("http");
    limit(scene, { headersTimeout: 100 });
    const client = await scene.wire();
    client.get("/hold/1").send("GET /second HT");
    const res = await scene.held("/hold/1");
    await until(() => scene.log.length === 1);
    expect(client.text).toBe("");
    res.send("first");
    await client.heard("408 Request Timeout");
    expect(client.answers().map(({ status }) => status)).toEqual([200, 408]);
  });

  /** An upload that stops half-way; its outcome, once its stream is closed. */
  function stalledUpload(url: string, path: string): Promise<{ status: number; body: string; code: number }> {
    const stream = connectHttp2(url).request({ ":path": path, ":method": "POST" });
    return new Promise((resolve) => {
      const seen = { status: 0, body: "", code: 0 };
      stream.on("response", (headers) => {
        seen.status = headers[":status"]!;
      });
      stream.setEncoding("utf8").on("data", (text: string) => {
        seen.body += text;
      });
      stream.on("error", () => {});
      stream.on("close", () => resolve({ ...seen, code: stream.rstCode ?? -1 }));
      stream.write("12345");
    });
  }

  const SLOW_STREAM = {
    level: "warn",
    fields: {
      status: 408,
      code: "ERR_HTTP_REQUEST_TIMEOUT",
      reason: "Request timeout",
      remoteAddress: "127.0.0.1",
    },
  };

  describe("on a stream of HTTP/2", () => {
    together("a body that stops half-way is answered with 408, and the client asked to stop", async () => {
      const scene = await begin("http2");
      limit(scene, { requestTimeout: 100 });
      expect(await stalledUpload(scene.served.url, "/echo")).toEqual({ status: 408, body: "", code: 0 });
      expect(scene.log).toEqual([expect.objectContaining(SLOW_STREAM)]);
    });

    together("if its response has begun, it is truncated so that the client sees it", async () => {
      const scene = await begin("http2");
      limit(scene, { requestTimeout: 100 });
      const seen = await stalledUpload(scene.served.url, "/stream/1");
      expect(seen).toEqual({ status: 200, body: "begun;", code: 2 });
      expect(scene.log).toEqual([expect.objectContaining(SLOW_STREAM)]);
    });

    together("it holds during a shutdown too", async () => {
      const scene = await begin("http2", { drain: { idleGraceMs: 10, deadlineMs: 10_000 } });
      limit(scene, { requestTimeout: 100 });
      const seen = stalledUpload(scene.served.url, "/echo");
      await until(() => scene.seen.length === 1);
      const { forced, durationMs } = await scene.served.close();
      expect([forced, durationMs < 4_000]).toEqual([false, true]);
      expect(await seen).toMatchObject({ status: 408 });
    });

    together("a slow answer to a whole request is none of its business, and 0 is no limit", async () => {
      const scene = await begin("http2");
      limit(scene, { requestTimeout: 50 });
      const other = await begin("http2");
      limit(other, { requestTimeout: 0 });
      const stalled = connectHttp2(other.served.url).request({ ":path": "/hold/1", ":method": "POST" });
      stalled.on("error", () => {}).write("12345");
      const session = connectHttp2(scene.served.url);
      const answers = [
        ask(session, "/hold/get"),
        ask(session, "/hold/post", { method: "POST", body: "12345" }),
      ];
      const held = await Promise.all([scene.held("/hold/get"), scene.held("/hold/post")]);
      await other.held("/hold/1");
      await new Promise((resolve) => setTimeout(resolve, 2_200)); // two checks
      for (const res of held) res.send("at last");
      for (const answer of answers) expect(await answer).toMatchObject({ status: 200, body: "at last" });
      expect(stalled.closed).toBe(false);
      expect([scene.log, other.log]).toEqual([[], []]);
    });
  });

  it.each(["https", "http2"] as const)("a TLS handshake over %s has ten seconds", async (transport) => {
    const { served } = await begin(transport);
    const options = Object.getOwnPropertySymbols(served.server)
      .map((symbol) => (served.server as never)[symbol] as unknown)
      .filter((value) => value === 10_000);
    expect(options).toHaveLength(1); // Node keeps it under a symbol of its own
  });
});
