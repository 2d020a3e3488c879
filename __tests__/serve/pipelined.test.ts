import express from "express";
import { requestContext } from "../../src/context/index.js";
import { AbortRequest, recover } from "../../src/recover/index.js";
import { closeServers, listen } from "../support/server.js";
import { begin, closeAll, Wire } from "./support.js";

jest.setTimeout(20_000);
afterEach(closeAll);
afterEach(closeServers);

const BIG = "x".repeat(4_000_000);
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** `/truncate` fails once the response before it has been handed to the system, and its client has read a part of it. */
function app() {
  const made = express();
  made.use(requestContext());
  let sent: () => void;
  const before = new Promise<void>((resolve) => {
    sent = resolve;
  });
  made.get("/big", (_req, res) => void res.on("finish", () => sent()).send(BIG));
  made.get("/truncate", async (_req, res) => {
    res.write("begun;");
    await before;
    throw new Error("boom");
  });
  made.get("/drop", async () => {
    await before;
    throw new AbortRequest();
  });
  made.use(recover({ logger: quiet }));
  return made;
}

async function pipeline(client: Wire, path: string) {
  client.socket.pause();
  client.send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n", `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
  const slowly = setInterval(() => {
    client.socket.resume();
    setImmediate(() => client.socket.pause());
  }, 2);
  try {
    return [await client.ended(), client.answers().map(({ status, body }) => [status, body.length])];
  } finally {
    clearInterval(slowly);
  }
}

const WHOLE = [200, BIG.length];

it.each([
  "http",
  "https",
  "http2",
] as const)("over %s, a truncated answer takes nothing of those pipelined before it", async (transport) => {
  const scene = await begin(transport, {}, app());
  const client = await scene.wire();
  const [, answers] = await pipeline(client, "/truncate");
  expect(answers![0]).toEqual(WHOLE);
  expect(client.text).not.toMatch(/\r\n0\r\n\r\n$/); // the client sees that the second one is not complete
});

it("a truncated response does not affect the responses pipelined before it", async () => {
  const scene = await begin("http", {}, app());
  const [, answers] = await pipeline(await scene.wire(), "/drop");
  expect(answers).toEqual([WHOLE]);
});

it("without serve too", async () => {
  const { port } = await listen(app());
  const [, answers] = await pipeline(await Wire.to(port), "/truncate");
  expect(answers![0]).toEqual(WHOLE);
});
