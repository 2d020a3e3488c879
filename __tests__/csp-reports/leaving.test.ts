import type { IncomingMessage, ServerResponse } from "node:http";
import type { ClientHttp2Stream } from "node:http2";
import net from "node:net";
import { cspReports } from "../../src/csp-reports/index.js";
import { readBody } from "../../src/csp-reports/receive.js";
import { bridgeHttp2 } from "../../src/serve/http2/bridge.js";
import { ask, closeHttp2, connectHttp2, listenHttp2 } from "../support/http2.js";
import { closeServers, listen, raw, until } from "../support/server.js";
import { CSP, csp, listening, receiver } from "./support.js";

afterEach(closeServers);
afterEach(closeHttp2);

const HEAD = `POST /csp-reports HTTP/1.1\r\nHost: a\r\nContent-Type: ${CSP}\r\n`;
const EVENTS = ["data", "end", "aborted", "close", "error"] as const;
const listeners = (req: IncomingMessage) => EVENTS.map((name) => req.listenerCount(name));

it.each([
  ["with a length", `Content-Length: ${csp().length + 1}\r\n\r\n${csp()}`],
  ["in chunks", `Transfer-Encoding: chunked\r\n\r\n${csp().length.toString(16)}\r\n${csp()}\r\n`],
])("a client that leaves midway, %s, causes no report and no error, and no listener stays", async (_name, rest) => {
  let req: IncomingMessage | undefined;
  let before: number[] = [];
  const { server, told } = await listening({}, (request, _res, next) => {
    req = request;
    before = listeners(request);
    next();
  });
  const faults: unknown[] = [];
  const note = (fault: unknown) => void faults.push(fault);
  process.on("uncaughtException", note).on("unhandledRejection", note);
  const socket = net.connect(server.port, "127.0.0.1", () => socket.write(HEAD + rest));
  await until(() => req?.readableDidRead === true);
  expect(listeners(req!)).not.toEqual(before);
  socket.resetAndDestroy();
  await until(() => req!.closed);
  await new Promise(setImmediate);
  expect(listeners(req!)).toEqual(before);
  expect([told, faults]).toEqual([[], []]);
  process.off("uncaughtException", note).off("unhandledRejection", note);
});

it("a complete body leaves no listener either", async () => {
  let req: IncomingMessage | undefined;
  let before: number[] = [];
  const { server, told } = await listening({}, (request, _res, next) => {
    req = request;
    before = listeners(request);
    next();
  });
  await raw(server.port, `${HEAD}Content-Length: ${csp().length}\r\n\r\n${csp()}`);
  expect(told).toHaveLength(1);
  expect(listeners(req!)).toEqual(before);
});

it("a client that stalls is answered after the limit", async () => {
  const outcomes: unknown[] = [];
  const server = await listen((req, res) => {
    void readBody(req, 1_000, 20).then((outcome) => {
      outcomes.push(outcome);
      res.end();
    });
  });
  await raw(server.port, `${HEAD}Content-Length: 10\r\n\r\n12345`);
  expect(outcomes).toEqual(["too slow"]);
});

it("a request that has already ended is not waited for", async () => {
  const outcomes: unknown[] = [];
  const server = await listen((req, res) => {
    req.once("close", () => {
      void readBody(req, 1_000).then((outcome) => outcomes.push(outcome));
    });
    req.destroy();
    res.end();
  });
  await raw(server.port, `${HEAD}Content-Length: 10\r\n\r\n12345`);
  await until(() => outcomes.length > 0);
  expect(outcomes).toEqual(["gone"]);
});

it("is answered 408 after ten seconds, and the connection is closed", async () => {
  jest.useFakeTimers({ doNotFake: ["nextTick", "setImmediate", "queueMicrotask", "Date", "performance"] });
  try {
    let isReading = false;
    const { server, told } = await listening({}, (req, _res, next) => {
      req.on("data", () => {
        isReading = true;
      });
      next();
    });
    let text = "";
    const socket = net.connect(server.port, "127.0.0.1", () =>
      socket.write(`${HEAD}Content-Length: 10\r\n\r\n12345`),
    );
    socket.on("data", (chunk) => {
      text += chunk;
    });
    while (!isReading) await new Promise(setImmediate);
    jest.advanceTimersByTime(9_999);
    for (let i = 0; i < 50; i++) await new Promise(setImmediate);
    expect(text).toBe("");
    jest.advanceTimersByTime(1);
    while (!/\}$/.test(text)) await new Promise(setImmediate);
    expect(text).toMatch(/^HTTP\/1\.1 408 .*Connection: close/s);
    expect(told).toEqual([]);
    socket.destroy();
  } finally {
    jest.useRealTimers();
  }
});

it("an error of the request ends the reading and is not uncaught", async () => {
  const outcomes: unknown[] = [];
  const server = await listen((req, res) => {
    void readBody(req, 1_000).then((outcome) => {
      outcomes.push(outcome);
      res.end();
    });
    req.emit("error", new Error("of somebody else's"));
  });
  await raw(server.port, `${HEAD}Content-Length: 10\r\n\r\n12345`);
  expect(outcomes).toEqual(["gone"]);
});

describe("HTTP/2", () => {
  async function http2Receiver() {
    const reading: IncomingMessage[] = [];
    const { app, told } = receiver({}, (req, _res, next) => {
      req.once("data", () => reading.push(req));
      next();
    });
    bridgeHttp2(app);
    const { url } = await listenHttp2(app);
    return { told, reading, url, session: connectHttp2(url) };
  }

  it("a report is accepted, other bodies are refused, and the session stays open", async () => {
    const { told, session } = await http2Receiver();
    const headers = { "content-type": `${CSP}; charset=utf-8` };
    const taken = await ask(session, "/csp-reports", { method: "POST", headers, body: csp() });
    expect([taken.status, taken.body, taken.isWhole]).toEqual([204, "", true]);
    expect((await ask(session, "/csp-reports", { method: "POST", headers, body: "[" })).status).toBe(400);
    const large = await ask(session, "/csp-reports", { method: "POST", headers, body: " ".repeat(70_000) });
    expect([large.status, large.isWhole]).toEqual([413, true]);
    expect((await ask(session, "/fine")).body).toBe("fine");
    expect(told).toHaveLength(1);
  });

  it.each<[string, (stream: ClientHttp2Stream) => void]>([
    ["a stream that is reset", (stream) => stream.destroy(new Error("enough"))],
    ["the end of the connection", (stream) => stream.session!.destroy()],
  ])("%s midway brings no report", async (_name, leave) => {
    const { told, reading, session, url } = await http2Receiver();
    const stream = session.request({ ":path": "/csp-reports", ":method": "POST", "content-type": CSP });
    stream.on("error", () => {});
    stream.write(csp());
    await until(() => reading.length === 1);
    leave(stream);
    await until(() => reading[0]!.aborted);
    expect((await ask(connectHttp2(url), "/fine")).body).toBe("fine");
    expect(told).toEqual([]);
  });

  it("without Express, a stream that is reset midway causes no report either", async () => {
    const told: unknown[] = [];
    const handler = cspReports({ onReport: (report) => void told.push(report) });
    const reading: IncomingMessage[] = [];
    const { url } = await listenHttp2((req: IncomingMessage, res: ServerResponse) => {
      req.once("data", () => reading.push(req));
      handler(req as never, res as never, () => {});
    });
    const session = connectHttp2(url);
    const headers = { "content-type": CSP };
    const taken = await ask(session, "/", { method: "POST", headers, body: csp() });
    expect([taken.status, told.length]).toEqual([204, 1]);
    const stream = session.request({ ":path": "/", ":method": "POST", ...headers });
    stream.on("error", () => {});
    stream.write(csp());
    await until(() => reading.length === 2);
    stream.destroy();
    await until(() => reading[1]!.aborted);
    expect((await ask(session, "/", { method: "POST", headers, body: "[" })).status).toBe(400);
    expect(told).toHaveLength(1);
  });
});
