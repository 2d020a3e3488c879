import type http from "node:http";
import express from "express";
import { DEFAULT_LINGER_MS } from "../../../src/lib/response/early-response.js";
import {
  CODE,
  closeFrameClients,
  encodeFields,
  FrameClient,
  request,
  TYPE,
  uint32,
} from "../../support/http2-frames.js";
import { until } from "../../support/server.js";
import { begin, closeAll } from "../support.js";

jest.setTimeout(20_000);
afterEach(async () => {
  await closeFrameClients();
  await closeAll();
});

type Limits = Partial<Pick<http.Server, "headersTimeout" | "requestTimeout" | "keepAliveTimeout">>;

async function limited(limits: Limits) {
  const app = express();
  app.use("/upload", (req, res) => {
    res.send("answered");
    req.resume();
  });
  app.use((_req, res) => void res.send("answered"));
  const scene = await begin("http2", {}, app);
  Object.assign(scene.served.server, limits);
  return scene;
}

const goawayCode = (client: FrameClient) =>
  client.received.find(({ type }) => type === TYPE.goaway)?.payload.readUInt32BE(4);

describe("a request head that does not end", () => {
  const block = encodeFields(request("GET", "/", [["x-slow", "a"]]));
  const slow: [string, (client: FrameClient) => void][] = [
    ["HEADERS without END_HEADERS", (client) => client.frame(TYPE.headers, 1, 1, block)],
    [
      "HEADERS, and one CONTINUATION",
      (client) => {
        client.frame(TYPE.headers, 1, 1, block.subarray(0, 10));
        client.continuation(1, block.subarray(10), false);
      },
    ],
    [
      "half of a HEADERS frame",
      (client) => {
        const length = Buffer.from([0, 0, 100]);
        client.send(
          Buffer.concat([length, Buffer.from([TYPE.headers, 5]), uint32(1), block.subarray(0, 20)]),
        );
      },
    ],
  ];

  it.each(
    slow,
  )("%s: the session is ended after the time that HTTP/1 has, and logged", async (_name, send) => {
    const { port, log } = await limited({ headersTimeout: 100 });
    const client = await FrameClient.connect(port);
    await client.caughtUp();
    client.isMute = true;
    send(client);
    await until(() => client.closed);
    expect(goawayCode(client)).toBe(CODE.calm);
    await until(() => log.length > 0);
    expect(log).toMatchObject([{ level: "warn", fields: { code: "ERR_HTTP_REQUEST_TIMEOUT" } }]);
  });

  it("is detected also beside other requests of the same session", async () => {
    const { port } = await limited({ headersTimeout: 100 });
    const client = await FrameClient.connect(port);
    client.headers(1, request("GET", "/"), { endStream: true });
    await until(() => client.hasEnded(1));
    client.headers(3, request("POST", "/upload"));
    await client.caughtUp();
    client.isMute = true;
    client.frame(TYPE.headers, 1, 5, block);
    await until(() => client.closed);
    expect(goawayCode(client)).toBe(CODE.calm);
  });

  it("does not end a session whose requests were refused by Node, nor one that only waits", async () => {
    const { port, served } = await limited({ headersTimeout: 100 });
    const client = await FrameClient.connect(port);
    client.headers(
      1,
      [
        [":method", "GET"],
        [":path", "/"],
      ],
      { endStream: true },
    ); // no scheme: malformed
    await until(() => client.resetCode(1) !== undefined);
    let looks = 0;
    const { server } = served;
    const headersTimeout = () => {
      looks++;
      return 100;
    };
    Object.defineProperty(server, "headersTimeout", { get: headersTimeout, configurable: true });
    await until(() => looks >= 6); // the number of checks so far
    client.headers(3, request("GET", "/"), { endStream: true });
    await until(() => client.hasEnded(3));
    expect([client.status(3), client.closed]).toEqual([200, false]);
  });
});

it.each([
  16, 200, 16_000,
])("a flood of CONTINUATION frames of %i bytes ends its session, and nothing is kept", async (size) => {
  const { port, served } = await limited({});
  const client = await FrameClient.connect(port);
  client.frame(TYPE.headers, 1, 1, encodeFields(request("GET", "/")));
  const field = encodeFields([["x-flood", "a".repeat(size)]]);
  let sent = 0;
  for (; sent < 10_000 && !client.closed; sent++) {
    client.continuation(1, field, false);
    if (sent % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await until(() => client.closed);
  expect(sent).toBeLessThan(10_000);
  const other = await FrameClient.connect(port);
  other.headers(1, request("GET", "/"), { endStream: true });
  await until(() => other.hasEnded(1));
  expect(served.server.listening).toBe(true);
});

it("a session whose client does not answer a PING ends; one whose client does continues", async () => {
  const app = express();
  let waiting = 0;
  app.use(() => void waiting++);
  const { port, served } = await begin("http2", {}, app);
  Object.assign(served.server, { keepAliveTimeout: 1_000 });
  const gone = await FrameClient.connect(port);
  const alive = await FrameClient.connect(port);
  for (const client of [gone, alive]) {
    client.headers(1, request("GET", "/"), { endStream: true });
    await client.caughtUp();
  }
  expect(waiting).toBe(2);
  gone.isMute = true;
  await until(() => gone.closed);
  await alive.caughtUp();
  expect(alive.closed).toBe(false);
});

it("answered uploads whose client does not read keep no timer each, and end when it does", async () => {
  const { port } = await limited({});
  const timers = jest.spyOn(globalThis, "setTimeout");
  const delays = () => timers.mock.calls.map(([, ms]) => ms).filter((ms) => ms !== 1); // 1: those of this test
  // The window has room for the body, but not for the frame that ends it.
  const window = "answered".length;
  const client = await FrameClient.connect(port, [
    [1, 0],
    [2, 0],
    [4, window],
  ]);
  const streams = Array.from({ length: 50 }, (_, i) => 2 * i + 1);
  for (const stream of streams) client.headers(stream, request("POST", "/upload"));
  await until(() => streams.every((stream) => client.body(stream) === "answered"));
  await until(() => delays().length >= streams.length);
  const lingered = performance.now() + DEFAULT_LINGER_MS + 50; // each upload is read for that long
  await until(() => performance.now() > lingered);
  expect(delays()).toEqual(streams.map(() => DEFAULT_LINGER_MS));
  timers.mockRestore();
  expect(streams.some((stream) => client.hasEnded(stream) || client.resetCode(stream) !== undefined)).toBe(
    false,
  );
  for (const stream of streams) client.windowUpdate(stream, 1_000);
  await until(() => streams.every((stream) => client.resetCode(stream) === CODE.noError));
  expect(streams.every((stream) => client.hasEnded(stream))).toBe(true);
});
