import type http from "node:http";
import net from "node:net";
import { background } from "../../src/background/index.js";
import { contextOf } from "../../src/context/index.js";
import { until } from "../support/server.js";
import { oneIn } from "../support/soak.js";
import { begin, closeAll, resources, TRANSPORTS, timed, Wire } from "./support.js";

afterEach(closeAll);

/** Generous, for a busy machine. Node's own close takes seconds, or never ends. */
const SOON_MS = 300;

describe.each(oneIn(2, TRANSPORTS))("a shutdown over %s loses no response", (transport) => {
  it("each kind of connection ends as documented, all at once", async () => {
    const { served, held, wire, port } = await begin(transport);
    const [inFlight, stream, idle, racing, silent, half] = await Promise.all(Array.from({ length: 6 }, wire));
    inFlight!.get("/hold/1");
    stream!.get("/stream/1");
    await Promise.all([idle!.get("/idle").heard("/idle"), racing!.get("/first").heard("/first")]);
    half!.send("GET / HTTP/1.1\r\nHost: loc");
    const greeting = net.connect(port, "127.0.0.1"); // under TLS: half a handshake
    await new Promise((resolve) => greeting.once("connect", resolve));
    greeting.write(Buffer.from("16030100", "hex"));
    const greeted = new Wire(greeting);
    const [one, two] = await Promise.all([held("/hold/1"), held("/stream/1"), stream!.heard("begun")]);

    const closed = served.close();
    racing!.get("/second");
    await racing!.heard("/second");
    expect(await racing!.ended()).toBe("fin");
    expect(racing!.answers().map(({ status, headers }) => [status, headers.connection])).toEqual([
      [200, "keep-alive"],
      [200, "close"],
    ]);
    await expect(Wire.to(port)).rejects.toThrow("ECONNREFUSED");
    await Promise.all([idle!.ended(), silent!.ended(), half!.ended(), greeted.ended()]);
    expect(silent!.text + (transport === "http" ? "" : greeted.text)).toBe("");

    one.send("whole");
    await inFlight!.heard("whole");
    expect(inFlight!.answers()).toEqual([
      expect.objectContaining({ status: 200, headers: expect.objectContaining({ connection: "close" }) }),
    ]);
    expect(await inFlight!.ended()).toBe("fin");
    two.end("end");
    const tookMs = await timed(closed);
    expect(tookMs).toBeLessThan(SOON_MS);
    await stream!.heard("end\r\n0\r\n\r\n"); // its head was sent before: keep-alive, and chunked
    expect(stream!.answers()[0]!.headers.connection).toBe("keep-alive");
    expect(await closed).toEqual({ forced: false, durationMs: expect.any(Number), tasksLeft: [] });
  });

  it("pipelined requests are all answered; only the last response says close, and no request after it is processed", async () => {
    const { served, held, wire, seen } = await begin(transport);
    const client = await wire();
    client.get("/hold/1").get("/hold/2").get("/hold/3");
    const responses = await Promise.all(["/hold/1", "/hold/2", "/hold/3"].map(held));
    const closed = served.close();
    responses[2]!.send("c"); // its head is made now, and says so
    client.get("/too/late");
    await new Promise((resolve) => setTimeout(resolve, 20));
    responses[0]!.send("a");
    responses[1]!.send("b");
    await client.ended();
    expect(client.answers().map(({ body, headers }) => [body, headers.connection])).toEqual([
      ["a", "keep-alive"],
      ["b", "keep-alive"],
      ["c", "close"],
    ]);
    expect(seen).toEqual(["/hold/1", "/hold/2", "/hold/3"]);
    expect((await closed).forced).toBe(false);
  });

  it("a request may follow a response that had begun with keep-alive; its response says close", async () => {
    const { served, held, wire } = await begin(transport, { drain: { idleGraceMs: 2_000 } });
    const client = await wire();
    client.get("/stream/1");
    await client.heard("begun");
    const closed = served.close();
    (await held("/stream/1")).end("end");
    await client.heard("\r\n0\r\n\r\n");
    client.get("/next");
    await client.heard("/next");
    expect(client.answers().map(({ headers }) => headers.connection)).toEqual(["keep-alive", "close"]);
    expect((await closed).durationMs).toBeLessThan(1_500); // it did not wait for the grace to end
  });

  it.each([
    "early",
    "after the grace",
  ])("a client whose upload is not read (%s) still gets the response", async (when) => {
    const { served, held, wire } = await begin(transport, { drain: { idleGraceMs: 20 } });
    const client = await wire();
    client.send("POST /hold/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 8000000\r\n\r\n", "x".repeat(1_000_000));
    const res = await held("/hold/1");
    const closed = served.close();
    if (when !== "early") await new Promise((resolve) => setTimeout(resolve, 60));
    res.send("enough");
    // A client that reads only once it has written: the answer must survive that.
    client.socket.pause();
    client.send("x".repeat(3_000_000), "x".repeat(3_000_000));
    await new Promise((resolve) => setTimeout(resolve, 60));
    client.socket.resume();
    await client.heard("enough");
    expect(client.answers()[0]).toMatchObject({ status: 200, headers: { connection: "close" } });
    client.socket.destroy();
    expect((await closed).forced).toBe(false);
  });

  it("an upload under way is read to its end and answered", async () => {
    const { served, wire, seen } = await begin(transport);
    const client = await wire();
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
    await until(() => seen.length === 1);
    const closed = served.close();
    await new Promise((resolve) => setTimeout(resolve, 80)); // beyond the grace
    client.send("67890");
    await client.heard("1234567890");
    expect(client.answers()[0]!.headers.connection).toBe("close");
    expect((await closed).forced).toBe(false);
  });

  it.each([
    ["chunked", "1.1", "", (text: string) => !text.endsWith("0\r\n\r\n")],
    ["with a length", "1.1", "?length", (text: string) => text.endsWith("begun;")],
    ["ended by the connection's end (HTTP/1.0)", "1.0", "", () => true],
  ])("a response that does not end (%s) is truncated at the deadline so that its client sees it", async (_kind, version, query, isShort) => {
    const { served, wire } = await begin(
      transport,
      { drain: { idleGraceMs: 10, deadlineMs: 60 } },
      (req, res) => {
        if (req.url!.includes("length")) res.setHeader("Content-Length", 100);
        res.write("begun;");
      },
    );
    const client = await wire();
    client.get(`/${query}`, "", version);
    await client.heard("begun;");
    const report = await served.close();
    expect(await client.ended()).toBe("reset");
    expect(isShort(client.text)).toBe(true);
    expect(report).toEqual({ forced: true, durationMs: expect.any(Number), tasksLeft: [] });
    expect(report.durationMs).toBeGreaterThanOrEqual(59);
    expect(report.durationMs).toBeLessThan(SOON_MS);
  });

  it("idle connections that end at a deadline before the grace's end are no loss", async () => {
    const { served, wire } = await begin(transport, { drain: { idleGraceMs: 5_000, deadlineMs: 30 } });
    const [idle, silent] = await Promise.all([wire(), wire()]);
    await idle.get("/").heard("200 OK");
    const report = await served.close();
    expect(report.forced).toBe(false);
    expect(report.durationMs).toBeLessThan(SOON_MS);
    await Promise.all([idle.ended(), silent.ended()]);
  });

  it("leaves nothing behind, and emits 'close' once", async () => {
    const before = resources();
    const { served, wire } = await begin(transport);
    const ends: string[] = [];
    served.server.on("close", () => ends.push("close"));
    const client = await wire();
    await client.get("/").heard("200 OK");
    const first = served.close();
    expect(served.close()).toBe(first);
    expect(served.closed).toBe(first);
    await first;
    await client.ended();
    client.socket.destroy();
    await until(() => resources().length <= before.length, 1_000);
    expect(ends).toEqual(["close"]);
    expect(served.close()).toBe(first);
    expect(served.server.listening).toBe(false);
  });

  it("the server's own close() ends it too", async () => {
    const { served, held, wire } = await begin(transport);
    const client = await wire();
    client.get("/hold/1", "Connection: close\r\n");
    const res = await held("/hold/1");
    let isClosed = false;
    served.closed.then(() => {
      isClosed = true;
    });
    served.server.close();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(isClosed).toBe(false);
    res.send("whole");
    expect(await served.closed).toEqual({ forced: false, durationMs: 0, tasksLeft: [] });
    await client.heard("whole");
    expect(await served.close()).toBe(await served.closed);
  });

  it("close() after the server's own close() still resets at the deadline", async () => {
    const { served, wire } = await begin(transport, { drain: { idleGraceMs: 10, deadlineMs: 50 } });
    const client = await wire();
    client.get("/stream/1");
    await client.heard("begun");
    served.server.close();
    expect((await served.close()).forced).toBe(true);
    expect(await client.ended()).toBe("reset");
  });
});

describe("the deadline", () => {
  it("aborts the signals of the requests that it resets, with a reason, also if they are read late", async () => {
    const reasons: unknown[] = [];
    const requests: http.IncomingMessage[] = [];
    const { served, wire } = await begin("http", { drain: { idleGraceMs: 10, deadlineMs: 40 } }, (req) => {
      requests.push(req);
      if (req.url === "/late") return;
      const { signal } = contextOf(req);
      signal.addEventListener("abort", () => reasons.push(signal.reason));
    });
    (await wire()).get("/");
    (await wire()).get("/late");
    await until(() => requests.length === 2);
    await served.close();
    expect(reasons).toEqual([
      expect.objectContaining({ name: "AbortError", message: expect.stringContaining("shutdown") }),
    ]);
    const late = contextOf(requests.find(({ url }) => url === "/late")!).signal;
    expect(late.aborted).toBe(true);
    expect(late.reason).toBe(reasons[0]);
  });

  it("does not abort the signal of a request that was answered before", async () => {
    const signals: AbortSignal[] = [];
    const { served, wire } = await begin("http", {}, (req, res) => {
      signals.push(contextOf(req).signal);
      res.end("ok");
    });
    await (await wire()).get("/").heard("ok");
    await served.close();
    expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
  });

  it("comes after background tasks; those that are left are named", async () => {
    const { served } = await begin("http", { drain: { idleGraceMs: 10, deadlineMs: 80 } });
    let isDone = false;
    let left: AbortSignal | undefined;
    void background("quick", async () => {
      await new Promise((resolve) => setTimeout(resolve, 40));
      isDone = true;
    });
    const endless = background("endless", (signal) => {
      left = signal;
      return new Promise((resolve) => signal.addEventListener("abort", resolve));
    });
    const report = await served.close();
    await endless;
    expect(isDone).toBe(true);
    expect(left!.aborted).toBe(true);
    expect(report).toMatchObject({ forced: true, tasksLeft: ["endless"] });
  });

  it("ends upgraded connections, which stay open until then", async () => {
    const { served, wire, held } = await begin("http", { drain: { idleGraceMs: 10, deadlineMs: 200 } });
    served.server.on("upgrade", (_req: http.IncomingMessage, socket: net.Socket) => {
      socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
      socket.on("error", () => {});
      socket.pipe(socket);
    });
    const client = await wire();
    client.get("/", "Connection: Upgrade\r\nUpgrade: echo\r\n");
    await client.heard("101");
    const other = await wire();
    other.get("/hold/1");
    const res = await held("/hold/1");
    const closed = served.close();
    await new Promise((resolve) => setTimeout(resolve, 60));
    res.send("whole");
    await other.ended();
    await client.send("still there").heard("still there");
    const report = await closed;
    expect(report.forced).toBe(true);
    expect(report.durationMs).toBeGreaterThanOrEqual(199);
    expect(await client.ended()).toBe("reset");
  });

  it("is not awaited when an upgraded connection ends by itself", async () => {
    const { served, wire } = await begin("http");
    served.server.on("upgrade", (_req: http.IncomingMessage, socket: net.Socket) => {
      socket.write("HTTP/1.1 101 Switching Protocols\r\n\r\n");
      socket.on("end", () => socket.end()).resume();
    });
    const client = await wire();
    client.get("/", "Connection: Upgrade\r\nUpgrade: echo\r\n");
    await client.heard("101");
    const closed = served.close();
    client.socket.end();
    expect((await closed).forced).toBe(false);
  });
});

describe("delayMs", () => {
  const probes = { live: "/livez", ready: "/readyz" };

  it("the server continues to accept requests, with a readiness probe that answers 503", async () => {
    const delayMs = 700;
    const { served, wire } = await begin("http", { probes, drain: { delayMs, idleGraceMs: 20 } });
    const client = await wire();
    await client.get("/readyz").heard("ok\n");
    const closed = served.close();
    client.text = "";
    await client.get("/livez").heard("ok\n");
    await client.get("/first").heard("/first");
    await client.get("/second").heard("/second");
    expect(client.answers().map(({ status, headers }) => [status, headers.connection])).toEqual([
      [200, "keep-alive"],
      [200, "keep-alive"],
      [200, "keep-alive"],
    ]);
    const another = await wire(); // still listens
    await another.get("/readyz").heard("draining\n");
    expect(another.answers()[0]).toMatchObject({ status: 503, headers: { connection: "close" } });
    expect(await another.ended()).toBe("fin");
    const { durationMs, forced } = await closed;
    expect(forced).toBe(false);
    expect(durationMs).toBeGreaterThanOrEqual(delayMs - 1);
    expect(durationMs).toBeLessThan(delayMs + SOON_MS);
  });

  it("ends at the server's own close()", async () => {
    const { served } = await begin("http", { drain: { delayMs: 10_000 } });
    const closed = served.close();
    served.server.close();
    const report = await closed;
    expect(report.forced).toBe(false);
    expect(report.durationMs).toBeLessThan(SOON_MS);
  });

  it("does not count towards the deadline", async () => {
    const { served, wire } = await begin("http", { drain: { delayMs: 60, idleGraceMs: 5, deadlineMs: 60 } });
    const client = await wire();
    client.get("/hold/1");
    await until(() => client.socket.bytesWritten > 0);
    const { durationMs, forced } = await served.close();
    expect(forced).toBe(true);
    expect(durationMs).toBeGreaterThanOrEqual(118);
  });
});

describe("the time limits hold during a shutdown", () => {
  it.each([
    ["head", "headersTimeout", "GET / HTTP/1.1\r\nHost: a\r\nX-Slow: "],
    ["body", "requestTimeout", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345"],
  ] as const)("a slow %s is answered with 408", async (_what, limit, sent) => {
    const { served, wire, log } = await begin("http", { drain: { idleGraceMs: 4_000, deadlineMs: 5_000 } });
    (served.server as http.Server).headersTimeout = limit === "headersTimeout" ? 100 : 0;
    (served.server as http.Server).requestTimeout = limit === "requestTimeout" ? 100 : 0;
    const client = await wire();
    client.send(sent);
    const closed = served.close();
    await client.heard("408 Request Timeout");
    expect(await client.ended()).toBe("fin");
    client.socket.destroy();
    expect((await closed).durationMs).toBeLessThan(2_500);
    expect(log).toEqual([
      expect.objectContaining({
        fields: expect.objectContaining({ status: 408, code: "ERR_HTTP_REQUEST_TIMEOUT" }),
      }),
    ]);
  });
});

it("many rounds leave no process listeners, nor anything else", async () => {
  const names = ["SIGTERM", "SIGINT", "uncaughtException", "unhandledRejection", "exit", "warning"] as const;
  const counts = () => names.map((name) => process.listenerCount(name));
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => void warnings.push(warning);
  process.on("warning", onWarning);
  const before = counts();
  const resourcesBefore = resources().length;
  for (let round = 0; round < 20; round++) {
    const { served, wire } = await begin("http", { signals: ["SIGTERM", "SIGINT"], onUncaught: "drain" });
    expect(process.listenerCount("SIGTERM")).toBe(before[0]! + 1);
    const client = await wire();
    await client.get("/", "Connection: close\r\n").heard("200 OK");
    await served.close();
    client.socket.destroy();
  }
  await until(() => resources().length <= resourcesBefore, 1_000);
  expect(counts()).toEqual(before);
  process.removeListener("warning", onWarning);
  expect(warnings).toEqual([]);
});
