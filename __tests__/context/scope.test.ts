import { EventEmitter } from "node:events";
import http from "node:http";
import express, { type Request } from "express";
import { contextOf, currentContext, requestContext } from "../../src/context/index.js";
import { closeServers, listen, raw, until } from "../support/server.js";

afterEach(closeServers);

const head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n";

it.each([
  "data",
  "readable",
  "end",
  "close",
])("a listener on the request's '%s' runs in its scope", async (event) => {
  const seen: unknown[] = [];
  const app = express();
  app.use(requestContext());
  app.post("/", (req, res) => {
    req.on(event, () => void seen.push(currentContext()?.id === contextOf(req).id));
    if (event !== "readable") req.resume();
    setTimeout(() => res.end(), 40);
  });
  const server = await listen(app);
  await raw(server.port, [head, "ab", "cd"], 80);
  await server.close();
  expect(seen.length).toBeGreaterThan(0);
  expect(new Set(seen)).toEqual(new Set([true]));
});

it.each(["finish", "close"])("a listener on the response's '%s' runs in its scope", async (event) => {
  const seen: unknown[] = [];
  const app = express();
  app.use(requestContext());
  app.use((req, res) => {
    res.on(event, () => void seen.push(currentContext()?.id === contextOf(req).id));
    res.end();
  });
  const server = await listen(app);
  await raw(server.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 40);
  expect(seen).toEqual([true]);
});

it("listeners run in the scope too when the client leaves", async () => {
  const seen = new Map<string, boolean>();
  let id: string | undefined;
  const app = express();
  app.use(requestContext());
  app.use((req, res) => {
    ({ id } = contextOf(req));
    for (const event of ["aborted", "close"]) {
      req.on(event, () => seen.set(`req ${event}`, currentContext()?.id === id));
    }
    res.on("close", () => seen.set("res close", currentContext()?.id === id));
  });
  const server = await listen(app);
  const client = http.request(server.url, { method: "POST", headers: { "content-length": 4 } });
  client.on("error", () => {});
  client.write("ab");
  await until(() => id !== undefined);
  client.destroy();
  await until(() => seen.size === 3);
  expect([...seen.values()]).toEqual([true, true, true]);
});

it("emit works as before: arguments, result, errors, and an emit that other code has replaced", async () => {
  const noted: unknown[] = [];
  const app = express();
  app.use((req, _res, next) => {
    const { emit } = req;
    req.emit = function watched(this: Request, name: string, ...args: unknown[]) {
      noted.push(name);
      return emit.call(this, name, ...args);
    } as typeof req.emit;
    next();
  });
  app.use(requestContext());
  app.get("/", (req, res) => {
    const custom = Symbol("custom");
    const got: unknown[] = [];
    req.on(custom, (...args: unknown[]) => got.push(args));
    const results = [
      req.emit(custom, 1, undefined, 3),
      req.emit(custom),
      req.emit("nobody listens"),
      res.emit("nor here"),
    ];
    const thrown = [req, res].map((emitter: EventEmitter) => {
      try {
        return emitter.removeAllListeners("error").emit("error", "alone");
      } catch (error) {
        return (error as { context?: unknown }).context;
      }
    });
    res.json([results, got, thrown, noted.includes("nobody listens")]);
  });
  const server = await listen(app);
  expect(await (await fetch(server.url)).json()).toEqual([
    [true, true, false, false],
    [[1, null, 3], []],
    ["alone", "alone"],
    true,
  ]);
});

it("a copy of a request can emit events", async () => {
  const app = express();
  app.use(requestContext());
  app.get("/", (req, res) => {
    const results = [req, res].map((original) => {
      const copy = new EventEmitter();
      for (const key in original) if (key === "emit") Object.assign(copy, { [key]: original[key as "emit"] });
      let heard = 0;
      copy.on("it", () => heard++);
      return [copy.emit("it"), copy.emit("other"), heard];
    });
    res.json(results);
  });
  const server = await listen(app);
  expect(await (await fetch(server.url)).json()).toEqual([
    [true, false, 1],
    [true, false, 1],
  ]);
});
