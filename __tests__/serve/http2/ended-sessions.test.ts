import type { ServerHttp2Session } from "node:http2";
import express from "express";
import { CODE, closeFrameClients, FrameClient, request, TYPE } from "../../support/http2-frames.js";
import { until } from "../../support/server.js";
import { begin, closeAll } from "../support.js";

jest.setTimeout(30_000);
afterEach(async () => {
  await closeFrameClients();
  await closeAll();
});

async function served() {
  const app = express();
  const gone = new Set<string>();
  app.get("/events", (_req, res) => {
    res.type("text/event-stream").write("data: 0\n\n");
    const timer = setInterval(() => res.write("data: 1\n\n"), 5);
    res.on("close", () => {
      clearInterval(timer);
      gone.add("/events");
    });
  });
  app.get("/waits", (_req, res) => void res.on("close", () => gone.add("/waits")));
  app.get("/destroys", (req) => {
    (req as unknown as { stream: { session: ServerHttp2Session } }).stream.session.destroy();
  });
  app.use((_req, res) => void res.send("answered"));
  const scene = await begin("http2", {}, app);
  const sessions = new Set<ServerHttp2Session>();
  scene.served.server.on("session", (session: ServerHttp2Session) => {
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
  });
  return { ...scene, sessions, gone };
}

const get = (path: string) => (client: FrameClient) =>
  client.headers(1, request("GET", path), { endStream: true });
const dataOnIdle = (client: FrameClient) => client.data(9, "x");
const goaway = (client: FrameClient) => client.goaway();
const emptyWindow = (client: FrameClient) => client.settings([[4, 0]]);
const dataWithinHead = (client: FrameClient) => {
  client.frame(TYPE.headers, 0, 1, Buffer.from([0x82]));
  client.data(1, "x");
};

const faults: Record<string, ((client: FrameClient) => void)[]> = {
  "DATA on an idle stream": [dataOnIdle],
  "DATA on an idle stream, with an event stream open": [get("/events"), dataOnIdle],
  "DATA on an idle stream, with a request that is not yet answered": [get("/waits"), dataOnIdle],
  "DATA on an idle stream, with an answer that has no room in the window": [
    emptyWindow,
    get("/"),
    dataOnIdle,
  ],
  "GOAWAY, then DATA on an idle stream, with a request that is not yet answered": [
    get("/waits"),
    goaway,
    dataOnIdle,
  ],
  "GOAWAY, then DATA on an idle stream, with an event stream open": [get("/events"), goaway, dataOnIdle],
  "DATA between HEADERS and CONTINUATION": [dataWithinHead],
};

describe("a session with a connection error ends by itself within seconds", () => {
  it.each([
    true,
    false,
  ])("with requests under way (the client then closes the connection: %p)", async (leaves) => {
    const { port, sessions, gone } = await served();
    for (const steps of Object.values(faults)) {
      const client = await FrameClient.connect(port);
      client.batch(() => {
        for (const step of steps) step(client);
      });
      await until(() => client.closed || client.received.some(({ type }) => type === TYPE.goaway));
      if (leaves) await client.close();
    }
    await until(() => sessions.size === 0);
    await until(() => gone.size === 2);
    const other = await FrameClient.connect(port);
    other.headers(1, request("GET", "/"), { endStream: true });
    await until(() => other.hasEnded(1));
    expect(other.status(1)).toBe(200);
  });
});

it("a closing session whose client reads late, but answers PINGs, still gets its response", async () => {
  const { port, sessions } = await served();
  const client = await FrameClient.connect(port);
  const broken = await FrameClient.connect(port);
  client.batch(() => [emptyWindow, get("/"), goaway].forEach((step) => void step(client)));
  broken.batch(() => [get("/waits"), goaway, dataOnIdle].forEach((step) => void step(broken)));
  const asked = () =>
    client.received.filter(({ type, flags }) => type === TYPE.settings && flags === 0).length;
  await until(() => asked() === 2); // the server's own, and the one that checks the client
  await broken.close();
  await until(() => sessions.size === 1);
  client.windowUpdate(1, 1_000);
  await until(() => client.hasEnded(1));
  expect([client.status(1), client.body(1), client.resetCode(1) ?? CODE.noError]).toEqual([
    200,
    "answered",
    0,
  ]);
  await until(() => client.closed);
});

it.each<[string, (client: FrameClient) => void]>([
  ["a GOAWAY with an error", (client) => client.goaway(CODE.internalError)],
  [
    "a GOAWAY with an error, after a request",
    (client) => [get("/waits")(client), client.goaway(CODE.internalError)],
  ],
  ["a request whose handler destroys the session", get("/destroys")],
])("a stream that is opened and ended in one packet with %s does not abort the process", async (_name, first) => {
  const { port, sessions } = await served();
  const client = await FrameClient.connect(port);
  client.batch(() => {
    first(client);
    client.headers(3, request("POST", "/"));
    client.data(3, "x", true);
  });
  await until(() => sessions.size === 0);
  const other = await FrameClient.connect(port);
  other.headers(1, request("GET", "/"), { endStream: true });
  await until(() => other.hasEnded(1));
  expect(other.status(1)).toBe(200);
});
