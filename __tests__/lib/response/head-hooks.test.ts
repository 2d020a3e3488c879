import http from "node:http";
import compression from "compression";
import express, { type RequestHandler, type Response } from "express";
import session from "express-session";
import onHeaders from "on-headers";
import request from "supertest";
import { onEnd } from "../../../src/lib/response/end-hooks.js";
import { beforeHead } from "../../../src/lib/response/intercept.js";
import { closeServers, listen, raw, until } from "../../support/server.js";

afterEach(closeServers);

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/** Appends a letter to the header X-Order when the head is written. */
function letter(name: string): RequestHandler {
  return (_req, res, next) => {
    beforeHead(res, (r, data) => void r.setHeader("X-Order", `${r.getHeader("X-Order") ?? ""}${data}`), name);
    next();
  };
}
const theirs = (name: string): RequestHandler => {
  return (_req, res, next) => {
    onHeaders(res, function (this: Response) {
      this.setHeader("X-Order", `${this.getHeader("X-Order") ?? ""}${name}`);
    });
    next();
  };
};

const answers: [string, (res: Response) => unknown][] = [
  ["send", (res) => res.send("x")],
  ["json", (res) => res.json({})],
  ["end", (res) => res.end()],
  ["write and end", (res) => res.write("a") && res.end("b")],
  ["flushHeaders", (res) => res.flushHeaders() ?? res.end()],
  ["writeHead(status)", (res) => res.writeHead(200).end()],
  ["writeHead(status, reason)", (res) => res.writeHead(200, "Fine").end()],
  ["sendStatus", (res) => res.sendStatus(204)],
  ["redirect", (res) => res.redirect("/")],
  ["sendFile", (res) => res.sendFile(__filename)],
];

describe("a hook before the head", () => {
  it.each(answers)("runs once for %s, inner hooks first", async (_name, answer) => {
    const app = express();
    app.use(letter("a"), letter("b"), letter("c"));
    app.use((_req, res) => void answer(res));
    expect((await request(app).get("/")).headers["x-order"]).toBe("cba");
  });

  it("keeps the order of mounting with third parties between", async () => {
    const app = express();
    app.use(letter("a"), theirs("1"), letter("b"), letter("c"), theirs("2"), letter("d"), compression());
    app.use(session({ secret: "s", resave: false, saveUninitialized: true }));
    app.use(letter("e"));
    app.use((_req, res) => void res.send("x".repeat(2000)));
    const res = await request(app).get("/");
    expect(res.headers["x-order"]).toBe("ed2cb1a");
    expect(res.headers).toMatchObject({ "content-encoding": "gzip", "set-cookie": [expect.any(String)] });
    expect(res.text).toHaveLength(2000);
  });

  it.each<[string, (res: http.ServerResponse) => unknown]>([
    ["an object", (res) => res.writeHead(201, { "X-A": "1", "x-b": ["2", "3"] })],
    ["an object after a reason", (res) => res.writeHead(201, "Made", { "X-A": "1", "x-b": ["2", "3"] })],
    [
      "an object after an undefined reason",
      (res) => res.writeHead(201, undefined, { "X-A": "1", "x-b": ["2", "3"] }),
    ],
    ["a flat list", (res) => res.writeHead(201, ["X-A", "1", "x-b", "2", "x-b", "3"])],
    [
      "a list of pairs",
      (res) =>
        res.writeHead(201, [
          ["X-A", "1"],
          ["x-b", "2"],
          ["x-b", "3"],
        ] as never),
    ],
  ])("sees the headers given to writeHead as %s, and they override those set before", async (_name, write) => {
    const seen: unknown[] = [];
    const server = await listen((_req, res) => {
      res.setHeader("X-A", "before");
      beforeHead(res, (r) => seen.push(r.statusCode, r.getHeader("x-a"), r.getHeader("x-b")), undefined);
      write(res);
      res.end();
    });
    const { text } = await raw(server.port, GET);
    expect(text).toMatch(/^HTTP\/1\.1 201 (Made|Created)\r\n/);
    expect(text.match(/^x-a: .*$/gim)).toEqual(["X-A: 1"]);
    expect(text.match(/^x-b: .*$/gim)).toEqual(["x-b: 2", "x-b: 3"]);
    expect(seen).toEqual([201, "1", ["2", "3"]]);
  });

  it("can change the status", async () => {
    const app = express();
    app.use((_req, res) => {
      beforeHead(res, (r) => void (r.statusCode = 299), undefined);
      res.writeHead(200).end();
    });
    await request(app).get("/").expect(299);
  });

  it.each([
    99,
    1000,
    Number.NaN,
  ])("leaves a wrong status (%p) to Node's own error, and runs on the next try", async (status) => {
    const ran = jest.fn();
    const app = express();
    app.use((_req, res) => {
      beforeHead(res, ran, "data");
      expect(() => res.writeHead(status)).toThrow(/Invalid status code/);
      expect(ran).not.toHaveBeenCalled();
      res.end();
    });
    await request(app).get("/").expect(200);
    expect(ran).toHaveBeenCalledWith(expect.anything(), "data");
  });

  it("leaves a second head to Node's own error", async () => {
    const ran = jest.fn();
    const server = await listen((_req, res) => {
      beforeHead(res, ran, undefined);
      res.writeHead(200);
      expect(() => res.writeHead(200)).toThrow(/headers/i);
      res.end();
    });
    await request(server.url).get("/").expect(200);
    expect(ran).toHaveBeenCalledTimes(1);
  });

  it("is not run by early hints", async () => {
    const ran = jest.fn();
    const server = await listen((_req, res) => {
      beforeHead(res, ran, undefined);
      res.writeEarlyHints({ link: "</a>; rel=preload" });
      expect(ran).not.toHaveBeenCalled();
      res.end();
    });
    await raw(server.port, GET);
    expect(ran).toHaveBeenCalledTimes(1);
  });
});

describe("a hook at the end", () => {
  function counted(handler: http.RequestListener) {
    const ends: [boolean, string][] = [];
    const listener: http.RequestListener = (req, res) => {
      onEnd(req, res, (r, data) => ends.push([r.writableFinished, data]), "outer");
      onEnd(req, res, (r, data) => ends.push([r.writableFinished, data]), "inner");
      handler(req, res);
    };
    return listen(listener).then((server) => ({ ...server, ends }));
  }

  it("runs once after the answer, inner hooks first", async () => {
    const server = await counted((_req, res) => res.end("x"));
    await raw(server.port, GET);
    expect(server.ends).toEqual([
      [true, "inner"],
      [true, "outer"],
    ]);
  });

  it.each<[string, http.RequestListener]>([
    ["never answers", () => {}],
    ["has begun to answer", (_req, res) => void res.write("x")],
  ])("runs once when the client leaves a handler that %s", async (_name, handler) => {
    const server = await counted(handler);
    const req = http.get(server.url).on("error", () => {});
    server.server.on("request", () => setImmediate(() => req.destroy()));
    await until(() => server.ends.length > 0);
    expect(server.ends).toEqual([
      [false, "inner"],
      [false, "outer"],
    ]);
  });

  it("runs for a pipelined response that still waits for its turn", async () => {
    const server = await counted((req, res) => {
      if (req.url === "/body") req.resume();
      res.on("close", () => {});
    });
    const all = GET + "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx" + GET;
    await raw(server.port, all, 40);
    await until(() => server.ends.length >= 6);
    expect(server.ends).toHaveLength(6);
  });

  it("runs too if the end is already past, or is reached meanwhile by another hook", async () => {
    const seen: string[] = [];
    const server = await listen((req, res) => {
      onEnd(req, res, () => onEnd(req, res, () => seen.push("nested"), undefined), undefined);
      res.on("close", () => setImmediate(() => onEnd(req, res, () => seen.push("late"), undefined)));
      res.end();
    });
    await raw(server.port, GET, 40);
    await until(() => seen.length === 2);
    expect(seen).toEqual(["nested", "late"]);
  });

  it("adds one listener, however many hooks there are", async () => {
    const server = await listen((req, res) => {
      const before = res.listenerCount("close");
      for (let i = 0; i < 50; i++) onEnd(req, res, () => {}, undefined);
      res.end(String(res.listenerCount("close") - before));
    });
    await request(server.url).get("/").expect("1");
  });
});
