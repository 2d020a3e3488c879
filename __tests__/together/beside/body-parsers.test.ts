import { createHmac } from "node:crypto";
import { gzipSync } from "node:zlib";
import express, { type RequestHandler } from "express";
import { authenticate, bearer, recover, requestLog, timeout } from "../../../src/index.js";
import { ask1 } from "../../support/http2.js";
import { memoryLogger } from "../../support/logger.js";
import { closeServers, listen, until } from "../../support/server.js";
import { captureOutput, listenToExample, quiet, stalledPost, statusOf } from "./support.js";

afterEach(async () => {
  jest.restoreAllMocks();
  await closeServers();
});

const json = { "content-type": "application/json" };
const stalls = { ...json, "content-length": "100" };
const nobody = () => authenticate(bearer({ verify: () => false }));

function appOf(...handlers: RequestHandler[]): express.Express {
  const app = express();
  app.use(...handlers);
  app.post("/", (req, res) => void res.json(req.body ?? "nothing"));
  app.use(recover({ logger: quiet }));
  return app;
}

describe("the examples", () => {
  beforeEach(() => void captureOutput());

  const key = { "x-api-key": "a-long-random-key" };
  const bomb = gzipSync(`[${" ".repeat(1_000_000)}]`);

  it.each([
    ["JSON", json, '{"a":1}', 201, '{"a":1}'],
    ["gzip of JSON", { ...json, "content-encoding": "gzip" }, gzipSync("[1]"), 201, "[1]"],
    ["a form", { "content-type": "application/x-www-form-urlencoded" }, "a=1", 201, '{"a":"1"}'],
    ["JSON that does not parse", json, "{nope", 400, '"detail":"Expected property name'],
    ["neither object nor list", json, "1", 400, "is not valid JSON"],
    ["too much", json, `"${"x".repeat(10_240)}"`, 413, "request entity too large"],
    ["a kilobyte of a megabyte", { ...json, "content-encoding": "gzip" }, bomb, 413, "too large"],
    [
      "an unknown encoding",
      { ...json, "content-encoding": "rot13" },
      "{}",
      415,
      "unsupported content encoding",
    ],
    ["a strange charset", { "content-type": "application/json; charset=latin1" }, "{}", 415, "charset"],
    ["another type", { "content-type": "text/csv" }, "a,b", 415, "Send JSON."],
  ])("%s", async (_name, headers, body, status, part) => {
    const { url } = await listenToExample("Body parsers");
    const answer = await ask1(url, "/orders", { method: "POST", headers: { ...key, ...headers }, body });
    expect(answer).toMatchObject({ status, body: expect.stringContaining(part) });
    if (status >= 400) expect(answer.headers["content-type"]).toContain("application/problem+json");
  });

  it("a signature is checked over the original bytes", async () => {
    const { url } = await listenToExample("Body parsers", 1);
    const body = '{ "event" : "paid" }';
    const signature = createHmac("sha256", "only-for-this-example").update(body).digest("hex");
    const send = (text: string | undefined) =>
      ask1(url, "/webhook", {
        method: "POST",
        headers: { ...json, "x-signature": signature },
        ...(text !== undefined && { body: text }),
      });
    expect(await send(body)).toMatchObject({ status: 200, body: '{"event":"paid"}' });
    expect((await send(body.replace("paid", "void"))).status).toBe(403);
    expect((await send(undefined)).status).toBe(403);
  });
});

it.each([
  ["after authenticate the 401 does not wait", [nobody(), express.json()], 401],
  ["before it, it does", [express.json(), nobody()], undefined],
  ["after timeout a stalled upload is a 503", [timeout(50), express.json()], 503],
  ["before it, there is no answer", [express.json(), timeout(50)], undefined],
])("%s", async (_name, handlers, status) => {
  const server = await listen(appOf(...handlers));
  expect((await stalledPost(server, "/", stalls, "{")).status).toBe(status);
});

it("an unknown content type is not parsed: the handler runs without a body", async () => {
  const server = await listen(appOf(express.json()));
  for (const type of ["text/csv", "application/vnd.api+json"]) {
    const answer = await ask1(server.url, "/", {
      method: "POST",
      headers: { "content-type": type },
      body: "{}",
    });
    expect(answer).toMatchObject({ status: 200, body: '"nothing"' });
  }
});

it("a client that leaves half-way is a 499 in the log, and recover gets no error", async () => {
  const entries = memoryLogger();
  const errors = memoryLogger();
  const app = express();
  app.use(requestLog({ logger: entries }), express.json());
  app.use(recover({ logger: errors }));
  await stalledPost(await listen(app), "/", stalls, "{");
  await until(() => entries.entries.length > 0 && errors.entries.length > 0);
  expect(entries.entries[0]!.fields).toMatchObject({ status: 499, aborted: true });
  expect(errors.entries).toMatchObject([{ level: "info" }]);
});

it("with express.json before it, a route with express.raw gets no bytes", async () => {
  const app = express();
  app.use(express.json());
  app.post("/", express.raw({ type: () => true }), (req, res) => void res.json(Buffer.isBuffer(req.body)));
  const server = await listen(app);
  expect((await ask1(server.url, "/", { method: "POST", headers: json, body: "{}" })).body).toBe("false");
  expect(await statusOf(server, "/", { method: "POST" })).toBe(200);
});
