import express, { type Response } from "express";
import { type LoadShed, loadShed, type Served, serve } from "../../src/index.js";
import { certificate } from "../support/certificate.js";
import { CODE, closeFrameClients, FrameClient, request } from "../support/http2-frames.js";
import { memoryLogger } from "../support/logger.js";
import { until } from "../support/server.js";

const LIMIT = 2;
const QUEUE = 2;
/** SETTINGS_INITIAL_WINDOW_SIZE: nothing of a body may be sent. */
const NO_WINDOW = [[4, 0]] as const;

interface Fixture {
  readonly shed: LoadShed;
  /** The responses that no handler has ended, and the number of all requests that reached a handler. */
  readonly held: Response[];
  readonly reached: () => number;
  readonly connect: (settings?: typeof NO_WINDOW) => Promise<FrameClient>;
}

let served: Served;
let fixture: Fixture;

beforeEach(async () => {
  const shed = loadShed({ limit: LIMIT, queue: QUEUE, queueMs: 60_000 });
  const held: Response[] = [];
  let reached = 0;
  const app = express();
  app.use(shed, (_req, _res, next) => {
    reached++;
    expect(shed.stats().inFlight).toBeLessThanOrEqual(LIMIT);
    next();
  });
  app.get("/held", (_req, res) => void held.push(res));
  app.get("/ok", (_req, res) => void res.send("x".repeat(100_000)));
  app.post("/upload", (req, res) => void req.resume().on("end", () => res.send("read")));
  served = await serve(app, {
    port: 0,
    host: "127.0.0.1",
    http2: true,
    tls: await certificate(),
    signals: false,
    onUncaught: false,
    logger: memoryLogger(),
    drain: { deadlineMs: 100 },
  });
  const port = Number(new URL(served.url).port);
  fixture = {
    shed,
    held,
    reached: () => reached,
    connect: (settings) => FrameClient.connect(port, settings),
  };
});

afterEach(async () => {
  await closeFrameClients();
  await served.close();
});

/** Sends requests for `/held`, and waits until the app has them. */
async function hold(client: FrameClient, ...streams: number[]): Promise<void> {
  const { shed } = fixture;
  const before = shed.stats().inFlight + shed.stats().queued;
  client.batch(() => {
    for (const stream of streams) client.headers(stream, request("GET", "/held"), { endStream: true });
  });
  await until(() => shed.stats().inFlight + shed.stats().queued === before + streams.length);
}

function answerAll(): void {
  for (const res of fixture.held.splice(0)) res.send("held");
}

/** A place that is lost would let fewer in, one that was given back twice more. */
async function expectAllPlaces(): Promise<void> {
  const { shed, held, connect } = fixture;
  await until(() => shed.stats().inFlight === 0 && shed.stats().queued === 0);
  const { shed: refused } = shed.stats();
  held.length = 0;
  const client = await connect();
  await hold(client, 1, 3, 5, 7);
  expect(shed.stats()).toMatchObject({ inFlight: LIMIT, queued: QUEUE });
  expect(held).toHaveLength(LIMIT);
  client.headers(9, request("GET", "/held"), { endStream: true });
  await until(() => client.status(9) === 503);
  answerAll();
  await until(() => held.length === QUEUE);
  answerAll();
  await until(() => [1, 3, 5, 7].every((stream) => client.hasEnded(stream)));
  expect([1, 3, 5, 7].map((stream) => client.status(stream))).toEqual([200, 200, 200, 200]);
  expect(shed.stats()).toMatchObject({ inFlight: 0, queued: 0, shed: refused + 1 });
}

describe("places are given back exactly once", () => {
  it("after RST_STREAM in the queue: the handler does not run", async () => {
    const { shed, reached, connect } = fixture;
    const client = await connect();
    await hold(client, 1, 3, 5, 7);
    client.reset(5);
    await until(() => shed.stats().queued === 1);
    answerAll();
    await until(() => fixture.held.length === 1);
    answerAll();
    await until(() => client.hasEnded(7));
    expect(client.status(7)).toBe(200);
    expect(client.of(5)).toEqual([]);
    expect(reached()).toBe(3);
    await expectAllPlaces();
  });

  it("after RST_STREAM of a request that holds a place: one that waits gets it", async () => {
    const { shed, held, connect } = fixture;
    const client = await connect();
    await hold(client, 1, 3, 5, 7);
    client.reset(1);
    await until(() => held.length === 3);
    await client.caughtUp();
    expect(shed.stats()).toMatchObject({ inFlight: LIMIT, queued: 1 });
    client.reset(1); // once more
    client.reset(3, CODE.internalError);
    await until(() => held.length === 4);
    answerAll(); // also those that are reset
    await until(() => client.hasEnded(5) && client.hasEnded(7));
    await expectAllPlaces();
  });

  it.each([
    ["the app is free", 0],
    ["others have all places", LIMIT],
    ["the queue is full too", LIMIT + QUEUE],
  ])("after RST_STREAM right behind HEADERS, many times, while %s", async (_when, busy) => {
    const { shed, connect } = fixture;
    const other = await connect();
    const streams = [1, 3, 5, 7].slice(0, busy);
    await hold(other, ...streams);
    const client = await connect();
    client.batch(() => {
      for (let stream = 1; stream < 100; stream += 2) {
        client.headers(stream, request("GET", "/held"), { endStream: true });
        client.reset(stream);
      }
    });
    await client.caughtUp();
    await until(() => shed.stats().inFlight + shed.stats().queued === busy);
    expect(client.closed).toBe(false);
    for (const stream of streams) other.reset(stream);
    await expectAllPlaces();
  });

  it("after GOAWAY: what the client has sent before is served, also from the queue", async () => {
    const { held, connect } = fixture;
    const client = await connect();
    await hold(client, 1, 3, 5);
    client.goaway();
    await client.caughtUp();
    answerAll();
    await until(() => held.length === 1);
    answerAll();
    await until(() => [1, 3, 5].every((stream) => client.hasEnded(stream)));
    expect([1, 3, 5].map((stream) => client.status(stream))).toEqual([200, 200, 200]);
    await expectAllPlaces();
  });

  it.each<[string, (client: FrameClient) => void]>([
    [
      "GOAWAY and the end of the connection",
      (client) => {
        client.goaway();
        client.socket.end();
      },
    ],
    ["GOAWAY with an error", (client) => client.goaway(CODE.protocolError)],
    ["the loss of the connection", (client) => void client.socket.destroy()],
    ["a frame that HTTP/2 forbids", (client) => client.windowUpdate(0, 0)],
  ])("after %s, with requests in flight and in the queue", async (_end, leave) => {
    const { reached, connect } = fixture;
    const client = await connect();
    await hold(client, 1, 3, 5, 7);
    leave(client);
    await until(() => fixture.shed.stats().inFlight === 0);
    expect(reached()).toBe(LIMIT); // those in the queue have left with the others
    answerAll(); // to nobody
    await expectAllPlaces();
  });

  it.each([
    ["in flight", 0],
    ["in the queue", LIMIT],
  ])("after half a body and the loss of the connection, %s", async (_where, busy) => {
    const { shed, connect } = fixture;
    const other = await connect();
    const streams = [1, 3].slice(0, busy);
    await hold(other, ...streams);
    const client = await connect();
    client.headers(1, request("POST", "/upload", [["content-length", "1000"]]));
    client.data(1, "x".repeat(500));
    await until(() => shed.stats().inFlight + shed.stats().queued === busy + 1);
    await client.caughtUp();
    client.socket.destroy();
    await until(() => shed.stats().inFlight + shed.stats().queued === busy);
    for (const stream of streams) other.reset(stream);
    await expectAllPlaces();
  });

  it("after half a head and the loss of the connection: it never had one", async () => {
    const { reached, connect } = fixture;
    const client = await connect();
    client.headers(1, request("GET", "/held"), { endStream: true, endHeaders: false });
    client.socket.end();
    await until(() => client.closed);
    expect(reached()).toBe(0);
    await expectAllPlaces();
  });
});

describe("a client that takes nothing of the body", () => {
  it("holds no place once the head is sent, and gives none back a second time", async () => {
    const { shed, connect } = fixture;
    const client = await connect(NO_WINDOW);
    for (const stream of [1, 3, 5, 7, 9, 11]) {
      client.headers(stream, request("GET", "/ok"), { endStream: true });
      await until(() => client.status(stream) === 200);
      expect(shed.stats()).toMatchObject({ inFlight: 0, queued: 0 });
    }
    expect(client.body(1)).toBe("");
    client.reset(1);
    client.goaway();
    await client.caughtUp();
    expect(shed.stats().inFlight).toBe(0);
    client.socket.destroy();
    await expectAllPlaces();
  });

  it("gets the head of a refusal, and a place later", async () => {
    const { shed, held, connect } = fixture;
    const other = await connect();
    await hold(other, 1, 3, 5, 7);
    const client = await connect(NO_WINDOW);
    client.headers(1, request("GET", "/ok"), { endStream: true });
    await until(() => client.status(1) === 503);
    expect([client.body(1), client.hasEnded(1)]).toEqual(["", false]);
    expect(shed.stats()).toMatchObject({ inFlight: LIMIT, queued: QUEUE, shed: 1 });
    answerAll();
    await until(() => held.length === QUEUE);
    answerAll();
    client.headers(3, request("GET", "/ok"), { endStream: true });
    await until(() => client.status(3) === 200);
    client.socket.destroy();
    await expectAllPlaces();
  });
});
