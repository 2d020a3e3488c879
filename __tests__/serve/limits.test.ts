import type http from "node:http";
import { ask, closeHttp2, connectHttp2 } from "../support/http2.js";
import { until } from "../support/server.js";
import { begin, closeAll, type Scene, TRANSPORTS, timed } from "./support.js";

jest.setTimeout(20_000);
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

describe.each(TRANSPORTS)("over %s", (transport) => {
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
