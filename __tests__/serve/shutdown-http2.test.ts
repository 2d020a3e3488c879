import http2 from "node:http2";
import net from "node:net";
import tls from "node:tls";
import express from "express";
import { around } from "../../src/chain/index.js";
import { contextOf, requestContext } from "../../src/context/index.js";
import { recover } from "../../src/recover/index.js";
import { timeout } from "../../src/timeout/index.js";
import { ask, closeHttp2, connectHttp2 } from "../support/http2.js";
import { memoryLogger } from "../support/logger.js";
import { until } from "../support/server.js";
import { begin, closeAll, resources } from "./support.js";

describe("shutdown", () => {
  afterEach(async () => {
    await closeHttp2();
    await closeAll();
  });

  const SOON_MS = 300;
  const { NGHTTP2_REFUSED_STREAM, NGHTTP2_INTERNAL_ERROR } = http2.constants;

  /** The GOAWAY frames of a session: the code, and the last stream that the server has accepted. */
  function goaways(session: http2.ClientHttp2Session): [code: number, last: number][] {
    const told: [number, number][] = [];
    session.on("goaway", (code, last) => told.push([code, last]));
    return told;
  }

  describe.each(["express", "plain"] as const)("a shutdown with HTTP/2 sessions (%s)", (kind) => {
    const plain = () => {
      const held = new Map<string, http2.Http2ServerResponse>();
      const listener = (req: http2.Http2ServerRequest, res: http2.Http2ServerResponse) => {
        if (req.url === "/") return void res.end("/");
        if (req.url.startsWith("/stream")) res.write("begun;");
        held.set(req.url, res);
      };
      return { held, listener: listener as never };
    };

    async function scene(drain = {}) {
      const { held, listener } = plain();
      const one = await begin(
        "http2",
        { drain: { idleGraceMs: 60, deadlineMs: 5_000, ...drain } },
        kind === "plain" ? listener : undefined,
      );
      const of = async (path: string) => {
        if (kind === "express") return one.held(path) as unknown as http2.Http2ServerResponse;
        await until(() => held.has(path));
        return held.get(path)!;
      };
      return { ...one, of };
    }

    it("streams under way finish, later ones are refused, idle sessions end at once", async () => {
      const { served, of } = await scene();
      const [busy, idle, fresh] = [0, 1, 2].map(() => connectHttp2(served.url));
      const told = [goaways(busy!), goaways(idle!)];
      const answers = [ask(busy!, "/hold/1"), ask(busy!, "/stream/1")];
      expect(await ask(idle!, "/")).toMatchObject({ status: 200, body: "/" });
      await until(() => !fresh!.connecting);
      const [one, two] = await Promise.all([of("/hold/1"), of("/stream/1")]);

      const closed = served.close();
      const late = ask(busy!, "/too/late"); // on its way when the GOAWAY comes
      await until(() => idle!.destroyed && fresh!.destroyed);
      expect(await late).toMatchObject({ status: 0, reset: NGHTTP2_REFUSED_STREAM });
      one.end("whole");
      await answers[0];
      two.end("end");
      expect((await closed).durationMs).toBeLessThan(SOON_MS + 60);
      expect(await Promise.all(answers)).toEqual([
        expect.objectContaining({ status: 200, body: "whole", isWhole: true }),
        expect.objectContaining({ status: 200, body: "begun;end", isWhole: true }),
      ]);
      await until(() => busy!.destroyed);
      expect(told[0]).toEqual([[0, expect.any(Number)]]); // one, with the accepted streams
      expect(told[0]![0]![1]).toBeGreaterThanOrEqual(3);
      expect(told[1]).toEqual([[0, 1]]);
      expect((await closed).forced).toBe(false);
    });

    it("a stream that does not end is reset at the deadline, with a code that says so", async () => {
      const { served, of } = await scene({ idleGraceMs: 10, deadlineMs: 60 });
      const session = connectHttp2(served.url);
      const answers = [ask(session, "/stream/1"), ask(session, "/hold/1")];
      await Promise.all([of("/stream/1"), of("/hold/1")]);
      const report = await served.close();
      expect(await Promise.all(answers)).toEqual([
        expect.objectContaining({
          status: 200,
          body: "begun;",
          isWhole: false,
          reset: NGHTTP2_INTERNAL_ERROR,
        }),
        expect.objectContaining({ status: 0, isWhole: false, reset: NGHTTP2_INTERNAL_ERROR }),
      ]);
      expect(report.forced).toBe(true);
      expect(report.durationMs).toBeLessThan(SOON_MS);
      await until(() => session.destroyed);
    });

    it("a client that continues to send after its response does not delay the shutdown", async () => {
      const { served, of } = await scene({ idleGraceMs: 30, deadlineMs: 5_000 });
      const session = connectHttp2(served.url);
      const stream = session.request({ ":path": "/hold/1", ":method": "POST" });
      stream.on("error", () => {}).resume();
      stream.write("a part");
      const res = await of("/hold/1");
      await new Promise((resolve) => res.req.once("data", resolve)); // Node then waits for the rest
      const closed = served.close();
      res.end("whole");
      const report = await closed;
      expect(report.forced).toBe(false);
      expect(report.durationMs).toBeLessThan(SOON_MS);
    });

    it("a session that begins during the drain gets a GOAWAY", async () => {
      const { served, of, port } = await scene({ idleGraceMs: 2_000 });
      const busy = connectHttp2(served.url);
      const answer = ask(busy, "/hold/1");
      const res = await of("/hold/1");
      const raw = net.connect(port, "127.0.0.1"); // its handshake ends after the server has stopped listening
      await new Promise((resolve) => raw.once("connect", resolve));
      await until(() => (served.server as unknown as { _connections: number })._connections === 2);
      const closed = served.close();
      const socket = tls.connect({ socket: raw, ALPNProtocols: ["h2"], rejectUnauthorized: false });
      socket.on("error", () => {});
      const session = http2.connect(served.url, { createConnection: () => socket });
      session.on("error", () => {});
      const told = goaways(session);
      const refused = ask(session, "/");
      expect(await refused).toMatchObject({ status: 0 });
      await until(() => session.destroyed);
      expect(told).toEqual([[0, 0]]);
      res.end("whole");
      expect(await answer).toMatchObject({ status: 200, body: "whole" });
      const { forced, durationMs } = await closed;
      expect([forced, durationMs < 1_500]).toEqual([false, true]);
    });
  });

  it("a closed server leaves nothing behind", async () => {
    const before = resources().length;
    const { served } = await begin("http2");
    const session = connectHttp2(served.url);
    await ask(session, "/");
    let ends = 0;
    served.server.on("close", () => ends++);
    await served.close();
    await until(() => session.destroyed);
    await until(() => resources().length <= before, 1_000);
    expect(ends).toBe(1);
  });

  it("a readiness probe that answers 503 does not end its session", async () => {
    const { served } = await begin("http2", {
      probes: { ready: "/readyz" },
      drain: { delayMs: 600, idleGraceMs: 10 },
    });
    const session = connectHttp2(served.url);
    expect(await ask(session, "/readyz")).toMatchObject({ status: 200 });
    const closed = served.close();
    expect(await ask(session, "/readyz?x=1")).toMatchObject({ status: 503, body: "draining\n" });
    expect(await ask(session, "/still")).toMatchObject({ status: 200, body: "/still" });
    expect((await closed).forced).toBe(false);
  });

  it("the signals of streams that are reset abort with the shutdown as their reason", async () => {
    const signals: AbortSignal[] = [];
    const { served } = await begin("http2", { drain: { idleGraceMs: 10, deadlineMs: 40 } }, (req) => {
      signals.push(contextOf(req).signal);
    });
    const answer = ask(connectHttp2(served.url), "/");
    await until(() => signals.length === 1);
    await served.close();
    await answer;
    expect(String(signals[0]!.reason)).toContain("shutdown");
  });

  it("an idle session is ended after keepAliveTimeout; one with a slow response is not", async () => {
    const { served, held } = await begin("http2");
    Object.assign(served.server, { keepAliveTimeout: 50 });
    const [idle, busy] = [connectHttp2(served.url), connectHttp2(served.url)];
    const told = goaways(idle);
    const answer = ask(busy, "/hold/1");
    const res = await held("/hold/1");
    await ask(idle, "/");
    await until(() => idle.destroyed); // sessions are checked each second, and two checks are needed
    expect(told).toEqual([[0, 1]]);
    await new Promise((resolve) => setTimeout(resolve, 80));
    res.send("whole");
    expect(await answer).toMatchObject({ status: 200, body: "whole" });
    await until(() => busy.destroyed);
  });
});

describe("early responses", () => {
  afterEach(async () => {
    await closeHttp2();
    await closeAll();
  });

  /** An upload of which a part is sent, and its outcome. */
  function upload(session: http2.ClientHttp2Session, path: string) {
    const stream = session.request({ ":path": path, ":method": "POST", "content-type": "application/json" });
    const seen = { status: 0, body: "", ended: false, closed: false, code: undefined as number | undefined };
    stream.setEncoding("utf8");
    stream.on("response", (headers) => {
      seen.status = headers[":status"]!;
    });
    stream.on("data", (text: string) => {
      seen.body += text;
    });
    stream.on("end", () => {
      seen.ended = true;
    });
    stream.on("error", () => {});
    stream.on("close", () => Object.assign(seen, { closed: true, code: stream.rstCode }));
    stream.write('{"a":');
    return { stream, seen };
  }

  const { entries: _, ...quiet } = memoryLogger();

  async function scene(options: Parameters<typeof begin>[1] = {}) {
    const outcomes: string[] = [];
    const signals: Record<string, AbortSignal> = {};
    const read: Record<string, string> = {};
    const app = express();
    app.use(requestContext());
    app.use(
      around(async (req, _res, next) => {
        signals[req.path] = contextOf(req).signal;
        const { status, aborted } = await next();
        outcomes.push(`${req.path} ${status} ${aborted}`);
      }),
    );
    app.post("/never-read", (_req, res) => void res.send("enough"));
    app.post("/part", (req, res) => void req.once("data", () => res.send("enough")));
    app.post("/paused", (req, res) => void req.once("data", () => req.pause() && res.send("enough")));
    app.post("/error", (req, _res, next) => void req.once("data", () => next(new Error("boom"))));
    app.post("/timeout", timeout(30), express.json(), (_req, res) => void res.send("late"));
    app.post("/refused", (req, res) => {
      res.writeHead(413, { "Content-Length": 100_000 });
      req.once("data", () => res.end("x".repeat(100_000)));
    });
    app.post("/reads-on", (req, res) => {
      read["/reads-on"] = "";
      req.setEncoding("utf8").on("data", (text) => {
        read["/reads-on"] += text;
        if (!res.writableEnded) res.status(202).send("accepted");
      });
      req.on("end", () => (read["/reads-on"] += ";end"));
    });
    app.use(recover({ logger: quiet, close: "never" }));
    const begun = await begin("http2", options, app);
    return { ...begun, outcomes, signals, read, session: connectHttp2(begun.served.url) };
  }

  const cases: [path: string, status: number, body: RegExp][] = [
    ["/never-read", 200, /^enough$/],
    ["/part", 200, /^enough$/],
    ["/paused", 200, /^enough$/],
    ["/error", 500, /Internal Server Error/],
    ["/timeout", 503, /./],
    ["/refused", 413, /^x{100000}$/],
  ];

  it.each(
    cases,
  )("%s: an upload that does not end is answered, logged, and then asked to stop", async (path, status, body) => {
    const { session, outcomes, signals } = await scene();
    const { stream, seen } = upload(session, path);
    await until(() => seen.ended);
    expect(seen).toMatchObject({ status, body: expect.stringMatching(body) });
    await until(() => outcomes.length === 1); // at once, not with the end of the stream
    expect(outcomes).toEqual([`${path} ${status} false`]);
    expect(signals[path]!.aborted).toBe(path === "/timeout");
    await until(() => seen.closed, 2_000);
    expect(seen.code).toBe(0);
    expect(stream.destroyed).toBe(true);
  });

  it.each(cases)("%s: an upload that continues for a while may end", async (path, status) => {
    const { session, outcomes } = await scene();
    const { stream, seen } = upload(session, path);
    await until(() => seen.status === status);
    await new Promise((resolve) => setTimeout(resolve, 20));
    if (path !== "/never-read") expect(stream.closed).toBe(false); // Node may reset that one
    stream.end("1}");
    await until(() => seen.closed, 400); // long before the linger time is over
    expect(seen.code).toBe(0);
    expect(outcomes).toEqual([`${path} ${status} false`]);
  });

  it("a handler that reads on after the response gets the whole body", async () => {
    const { session, outcomes, read } = await scene();
    const { stream, seen } = upload(session, "/reads-on");
    await until(() => seen.ended);
    expect(outcomes).toEqual(["/reads-on 202 false"]);
    await new Promise((resolve) => setTimeout(resolve, 700)); // longer than an upload without a reader is read
    stream.end("1}");
    await until(() => seen.closed, 2_000);
    await until(() => read["/reads-on"]!.endsWith("end"), 2_000); // the client's stream is closed once it has sent the body
    expect(read).toEqual({ "/reads-on": '{"a":1};end' });
    expect(seen).toMatchObject({ status: 202, code: 0 });
  });

  it("a session with answered uploads is idle", async () => {
    const { served, session } = await scene();
    Object.assign(served.server, { keepAliveTimeout: 50 });
    const all = [upload(session, "/part"), upload(session, "/timeout")];
    await until(() => all.every(({ seen }) => seen.closed), 2_000);
    await until(() => session.destroyed, 2_000);
  });

  it("a truncated response body is not taken for complete", async () => {
    const ends: string[] = [];
    const { served } = await begin("http2", {}, (req, res) => {
      req.on("data", () => res.writableEnded || res.end("enough"));
      req.on("end", () => ends.push("end"));
      req.on("error", (error: NodeJS.ErrnoException) => ends.push(`error ${error.code}`));
      req.on("close", () => ends.push("close"));
    });
    Object.assign(served.server, { requestTimeout: 100 });
    const { seen } = upload(connectHttp2(served.url), "/");
    await until(() => seen.closed, 4_000);
    await until(() => ends.includes("close"));
    expect(ends[0]).toBe("error ECONNRESET");
    expect(ends).not.toContain("end");
  });
});
