import express, { type RequestHandler } from "express";
import { recover } from "../../../src/recover/index.js";
import { timeout } from "../../../src/timeout/index.js";
import { closeServers, listen, raw, until } from "../../support/server.js";

afterEach(closeServers);

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const fail: RequestHandler = (_req, _res, next) => void setTimeout(() => next(new Error("no such luck")), 50);

// Node itself says nothing to the readers of a request whose response has ended: they would wait for ever.
it.each([
  ["timeout", 503, (read: RequestHandler) => [timeout(50), read, () => {}]],
  ["recover", 500, (read: RequestHandler) => [read, fail]],
])("whoever still reads an upload that stalls is told when %s has closed the connection", async (_name, status, order) => {
  const told: string[] = [];
  const read: RequestHandler = (req, _res, next) => {
    req.on("data", () => {});
    for (const event of ["aborted", "end", "close"]) req.on(event, () => told.push(event));
    next();
  };
  const app = express();
  app.use(...order(read));
  app.use(recover({ logger: quiet }));
  const { port } = await listen(app);
  const { text } = await raw(port, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc");
  expect(text).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  await until(() => told.includes("close"));
  expect(told).toEqual(["aborted", "close"]);
});

it("whoever has read an upload to its end is told nothing more than that", async () => {
  const told: string[] = [];
  const app = express();
  app.use((req, _res, next) => {
    req.resume();
    for (const event of ["aborted", "end", "close"]) req.on(event, () => told.push(event));
    req.on("end", () => next(new Error("no such luck")));
  });
  app.use(recover({ logger: quiet }));
  const { port } = await listen(app);
  expect(await raw(port, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")).toMatchObject({
    end: "fin",
  });
  await until(() => told.includes("close"));
  expect(told).toEqual(["end", "close"]);
});
