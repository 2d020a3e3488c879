import net from "node:net";
import express, { type Request, type Response } from "express";
import { contextOf, requestContext, requestLog } from "../../../src/index.js";
import { http2ServerOptions } from "../../../src/serve/http2/bridge.js";
import { closeHttp2, listenHttp2 } from "../../support/http2.js";
import { CODE, closeFrameClients, FrameClient, request } from "../../support/http2-frames.js";
import { closeServers, listen, until } from "../../support/server.js";

afterEach(async () => {
  await closeFrameClients();
  await Promise.all([closeHttp2(), closeServers()]);
});

type Handler = (req: Request, res: Response) => void;
interface Entry {
  readonly status: number;
  readonly aborted?: boolean;
}

function loggedApp(handler: Handler) {
  const entries: Entry[] = [];
  const app = express();
  app.use(
    requestContext(),
    requestLog({ stream: { write: (line: string) => entries.push(JSON.parse(line)) }, format: "json" }),
  );
  app.use(handler);
  return { app, entries };
}

const gaveUp: [string, Handler][] = [
  ["res.destroy()", (_req, res) => void res.destroy()],
  [
    "res.destroy() after the head",
    (_req, res) => {
      res.write("part");
      setImmediate(() => res.destroy());
    },
  ],
  ["res.destroy(error)", (_req, res) => void res.destroy(new Error("own"))],
  ["req.destroy()", (req) => void req.destroy()],
  ["req.socket.destroy()", (req) => void req.socket.destroy()],
];

it.each(
  gaveUp,
)("a response that the handler destroys by %s is logged as over HTTP/1", async (_name, handler) => {
  const over1 = loggedApp(handler);
  const { port: port1 } = await listen(over1.app);
  const socket = net.connect(port1, "127.0.0.1").on("error", () => {});
  socket.write("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  await until(() => over1.entries.length === 1);
  socket.destroy();

  const over2 = loggedApp(handler);
  const { port } = await listenHttp2(over2.app, http2ServerOptions(over2.app));
  const client = await FrameClient.connect(port);
  client.headers(1, request("GET", "/"), { endStream: true });
  await until(() => over2.entries.length === 1);

  const seen = ({ status, aborted }: Entry) => ({ status, aborted });
  expect(seen(over2.entries[0]!)).toEqual(seen(over1.entries[0]!));
  expect(over2.entries[0]!.aborted).toBeUndefined();
  await until(() => client.resetCode(1) !== undefined);
  expect(client.resetCode(1)).toBe(CODE.internalError);
});

const leaves: [string, (client: FrameClient) => void][] = [
  ["RST_STREAM", (client) => client.reset(1)],
  ["RST_STREAM with NO_ERROR", (client) => client.reset(1, CODE.noError)],
  ["a GOAWAY with an error", (client) => client.goaway(CODE.internalError)],
  ["the end of its connection", (client) => client.socket.destroy()],
];
const requests: [string, boolean][] = [
  ["GET", true],
  ["HEAD", true],
  ["POST", false],
];

describe.each(requests)("contextOf(req).signal of a %s request over HTTP/2", (method, endStream) => {
  async function waiting(handler: Handler = () => {}) {
    let req: Request | undefined;
    const { app, entries } = loggedApp((incoming, res) => {
      req = incoming;
      handler(incoming, res);
    });
    const { port } = await listenHttp2(app, http2ServerOptions(app));
    const client = await FrameClient.connect(port);
    client.headers(1, request(method, "/"), { endStream });
    await until(() => req !== undefined);
    return { client, entries, signal: contextOf(req!).signal };
  }

  it.each(leaves)("aborts when the client leaves by %s, and the log says so", async (_name, leave) => {
    const { client, entries, signal } = await waiting();
    expect(signal.aborted).toBe(false);
    leave(client);
    await until(() => signal.aborted && entries.length === 1);
    expect(entries[0]).toMatchObject({ status: 499, aborted: true });
  });

  it("does not abort when the response is complete", async () => {
    const { client, entries, signal } = await waiting(
      (_req, res) => void setImmediate(() => res.send("whole")),
    );
    await until(() => client.hasEnded(1));
    client.reset(1, CODE.noError);
    await client.caughtUp();
    await until(() => entries.length === 1);
    expect([signal.aborted, entries[0]!.status, entries[0]!.aborted]).toEqual([false, 200, undefined]);
  });
});
