import type http2 from "node:http2";
import express from "express";
import { around } from "../../src/chain/index.js";
import { contextOf, requestContext } from "../../src/context/index.js";
import { recover } from "../../src/recover/index.js";
import { timeout } from "../../src/timeout/index.js";
import { closeHttp2, connectHttp2 } from "../support/http2.js";
import { memoryLogger } from "../support/logger.js";
import { until } from "../support/server.js";
import { begin, closeAll } from "./support.js";

jest.setTimeout(20_000);
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
