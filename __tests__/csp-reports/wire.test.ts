import type { IncomingMessage, ServerResponse } from "node:http";
import type { ClientHttp2Stream } from "node:http2";
import net from "node:net";
import express from "express";
import request from "supertest";
import { cors } from "../../src/cors/index.js";
import { cspReports } from "../../src/csp-reports/index.js";
import { readBody } from "../../src/csp-reports/receive.js";
import { bridgeHttp2 } from "../../src/serve/http2/bridge.js";
import { ask, closeHttp2, connectHttp2, listenHttp2 } from "../support/http2.js";
import { closeServers, listen, raw, until } from "../support/server.js";
import { CSP, csp, listening, post, REPORTS, receiver, reporting } from "./support.js";

afterEach(closeServers);

describe("over the wire", () => {
  const GET_FINE = "GET /fine HTTP/1.1\r\nHost: a\r\n\r\n";

  it.each(["get", "put", "patch", "delete"] as const)("%s: 405, with Allow", async (method) => {
    const { app, told } = receiver();
    const res = await request(app)[method]("/csp-reports").type(CSP).expect(405);
    expect(res.headers.allow).toBe("POST, OPTIONS");
    expect(res.body).toMatchObject({ status: 405, title: "Method Not Allowed" });
    expect(told).toEqual([]);
  });

  it.each([
    ["text/plain"],
    ["application/x-www-form-urlencoded"],
    ["application/csp-report-x"],
    ["application/problem+json"],
    ["text/html; a=application/csp-report"],
    [";application/json"],
    [""],
  ])("%p: 415, with the accepted types", async (type) => {
    const { server, told } = await listening();
    const { text } = await raw(server.port, post(csp(), type));
    expect(text).toMatch(
      /^HTTP\/1\.1 415 .*Accept-Post: application\/csp-report, application\/reports\+json, application\/json\r/s,
    );
    expect(told).toEqual([]);
  });

  it("no content type at all: 415", async () => {
    const { server } = await listening();
    const { text } = await raw(
      server.port,
      "POST /csp-reports HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
    );
    expect(text).toMatch(/^HTTP\/1\.1 415 /);
  });

  it.each([
    ["gzip"],
    ["BR"],
    ["identity, gzip"],
  ])("Content-Encoding %s: 415, with Accept-Encoding: identity", async (coding) => {
    const { app, told } = receiver();
    const res = await request(app)
      .post("/csp-reports")
      .type(CSP)
      .set("Content-Encoding", coding)
      .send(csp())
      .expect(415);
    expect(res.headers["accept-encoding"]).toBe("identity");
    expect(told).toEqual([]);
  });

  it("Content-Encoding: identity is accepted", async () => {
    const { app, told } = receiver();
    await request(app)
      .post("/csp-reports")
      .type(CSP)
      .set("Content-Encoding", "identity")
      .send(csp())
      .expect(204);
    expect(told).toHaveLength(1);
  });

  describe("the limit", () => {
    const body = csp();
    const size = Buffer.byteLength(body);
    const head = `POST /csp-reports HTTP/1.1\r\nHost: a\r\nContent-Type: ${CSP}\r\n`;

    it("a body of exactly maxBytes is read, one byte more is not", async () => {
      const { app, told } = receiver({ maxBytes: size });
      await request(app).post("/csp-reports").type(CSP).send(body).expect(204);
      await request(app).post("/csp-reports").type(CSP).send(`${body} `).expect(413);
      expect(told).toHaveLength(1);
    });

    it("a Content-Length over the limit is refused before the body arrives", async () => {
      const { server, told } = await listening();
      const { text, end } = await raw(server.port, `${head}Content-Length: 70000\r\n\r\n`);
      expect(text).toMatch(/^HTTP\/1\.1 413 .*Connection: close.*"status":413/s);
      expect([end, told]).toEqual(["fin", []]);
    });

    it("a chunked body is refused as soon as it passes the limit", async () => {
      const { server, told } = await listening({ maxBytes: 1_000 });
      const chunk = `1f4\r\n${" ".repeat(500)}\r\n`;
      const { text, end } = await raw(server.port, [
        `${head}Transfer-Encoding: chunked\r\n\r\n${chunk}`,
        chunk,
        chunk,
      ]);
      expect(text).toMatch(/^HTTP\/1\.1 413 .*Connection: close/s);
      expect([end, told]).toEqual(["fin", []]);
    });

    it("a chunked body below the limit is read", async () => {
      const { server, told } = await listening();
      const parts = body.match(/.{1,100}/gs)!.map((part) => `${part.length.toString(16)}\r\n${part}\r\n`);
      const { text } = await raw(server.port, [
        `${head}Transfer-Encoding: chunked\r\n\r\n`,
        ...parts,
        `0\r\n\r\n${GET_FINE}`,
      ]);
      expect(text).toMatch(/^HTTP\/1\.1 204 .*\r\n\r\nHTTP\/1\.1 200 .*fine$/s);
      expect(told).toHaveLength(1);
    });

    it("after a small body is refused, the connection is kept", async () => {
      const { server } = await listening({ maxBytes: 10 });
      const { text } = await raw(server.port, [post(body, CSP), GET_FINE]);
      expect(text).toMatch(/^HTTP\/1\.1 413 .*HTTP\/1\.1 200 .*fine$/s);
    });
  });

  it.each<[string, string | Buffer, number]>([
    ["nothing", "", 400],
    ["half of it", csp().slice(0, -5), 400],
    ["no JSON", "csp-report", 400],
    [
      "invalid UTF-8",
      Buffer.concat([Buffer.from('{"csp-report":{"a":"'), Buffer.from([0xff]), Buffer.from('"}}')]),
      400,
    ],
    ["UTF-16", Buffer.from(csp(), "utf16le"), 400],
    ["null", "null", 400],
    ["a number", "5", 400],
    ["a string", '"csp-report"', 400],
    ["{}", "{}", 400],
    ["an object of something else", '{"a":1}', 400],
    ["a __proto__ with a report", `{"__proto__":${csp()}}`, 400],
    ["[]", "[]", 204],
    ["[null]", "[null]", 204],
    ["[[]]", "[[]]", 204],
    [
      "entries that are none",
      '[1,"a",true,{},{"type":5},{"type":"x"},{"body":{}},{"type":"","url":"a"}]',
      204,
    ],
    ["a csp-report of null", '{"csp-report":null}', 204],
    ["a csp-report that is a list", '{"csp-report":[]}', 204],
    ["100,000 open lists", "[".repeat(100_000), 413],
    ["30,000 open lists", "[".repeat(30_000), 400],
    ["30,000 lists", "[".repeat(30_000) + "]".repeat(30_000), 204],
    ["30,000 objects", `${'{"a":'.repeat(10_000)}1${"}".repeat(10_000)}`, 400],
  ])("%s: an answer, and no report", async (_name, body, status) => {
    const { server, told } = await listening();
    const { text } = await raw(server.port, post(body, CSP));
    expect(text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(told).toEqual([]);
  });

  it("a report with 100,000 nested lists is passed on with a bounded body", async () => {
    const { app, told } = receiver({ maxBytes: 1_000_000 });
    const deep = "[".repeat(100_000) + "]".repeat(100_000);
    await request(app)
      .post("/csp-reports")
      .type(REPORTS)
      .send(`{"type":"x","url":"https://app.example/","body":{"deep":${deep}}}`)
      .expect(204);
    expect(told[0]!.body).toEqual({ deep: [["…"]] });
  });

  it("a byte order mark is ignored", async () => {
    const { app, told } = receiver();
    await request(app).post("/csp-reports").type(CSP).send(`\ufeff${csp()}`).expect(204);
    expect(told).toHaveLength(1);
  });

  it("the first hundred reports of a batch are passed on", async () => {
    const { app, told } = receiver({ maxBytes: 1_000_000 });
    const batch = Array.from({ length: 250 }, (_, age) => ({ ...reporting, age }));
    await request(app).post("/csp-reports").type(REPORTS).send(JSON.stringify(batch)).expect(204);
    expect(told.map(({ ageMs }) => ageMs)).toEqual(Array.from({ length: 100 }, (_, i) => i));
  });

  it("when the limit per minute is reached, bodies are not waited for", async () => {
    const { server, told } = await listening({ maxPerMinute: 1 });
    await raw(server.port, post(csp(), CSP));
    const head = `POST /csp-reports HTTP/1.1\r\nHost: a\r\nContent-Type: ${CSP}\r\nContent-Length: 60000\r\n\r\n`;
    expect((await raw(server.port, head)).text).toMatch(/^HTTP\/1\.1 204 /);
    expect(told).toHaveLength(1);
  });

  it("works without Express", async () => {
    const told: unknown[] = [];
    const handler = cspReports({ onReport: (report) => void told.push(report) });
    const server = await listen((req, res) => handler(req as never, res as never, () => {}));
    expect((await raw(server.port, post(csp(), CSP))).text).toMatch(/^HTTP\/1\.1 204 /);
    expect((await raw(server.port, post("[", CSP))).text).toMatch(/^HTTP\/1\.1 400 .*"status":400/s);
    expect(told).toHaveLength(1);
  });

  describe("from another origin", () => {
    const PREFLIGHT = {
      Origin: "https://other.example",
      "Access-Control-Request-Method": "POST",
      "Access-Control-Request-Headers": "content-type",
    };

    it("a preflight is allowed", async () => {
      const { app } = receiver();
      const res = await request(app).options("/csp-reports").set(PREFLIGHT).expect(204, "");
      expect(res.headers).toMatchObject({
        "access-control-allow-origin": "*",
        "access-control-allow-methods": "POST",
        "access-control-allow-headers": "content-type",
        "access-control-max-age": "86400",
      });
    });

    it("an OPTIONS that is no preflight gets Allow", async () => {
      const { app } = receiver();
      const res = await request(app).options("/csp-reports").expect(204, "");
      expect(res.headers.allow).toBe("POST, OPTIONS");
      expect(Object.keys(res.headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
    });

    it.each([
      [204, CSP, csp()],
      [400, CSP, "["],
      [415, "text/plain", "x"],
    ])("%i carries Access-Control-Allow-Origin", async (status, type, body) => {
      const { app } = receiver();
      const send = () => request(app).post("/csp-reports").type(type);
      const res = await send().set("Origin", "null").send(body).expect(status);
      expect(res.headers["access-control-allow-origin"]).toBe("*");
      expect((await send().send(body)).headers).not.toHaveProperty("access-control-allow-origin");
    });

    it("works after a cors that does not allow the page", async () => {
      const { app } = receiver({}, cors({ origin: "https://app.example" }));
      const send = request(app).post("/csp-reports").type(CSP).set("Origin", "https://other.example");
      expect((await send.send(csp()).expect(204)).headers["access-control-allow-origin"]).toBe("*");
    });

    it("keeps the headers of an earlier cors", async () => {
      const { app } = receiver({}, cors({ origin: "https://other.example" }));
      const res = await request(app)
        .post("/csp-reports")
        .type(CSP)
        .set("Origin", "https://other.example")
        .send(csp())
        .expect(204);
      expect(res.headers["access-control-allow-origin"]).toBe("https://other.example");
    });
  });

  describe("after a handler that has used the body", () => {
    it.each([
      "utf8",
      "latin1",
      "base64",
    ] as const)("setEncoding(%j): it is read as text, and up to the limit", async (encoding) => {
      let heard = 0;
      const { server, told } = await listening({ maxBytes: 700 }, (req, _res, next) => {
        req.setEncoding(encoding).on("data", () => heard++);
        next();
      });
      const body = Buffer.from(csp({ "blocked-uri": "https://b.example/\u00e9\u{1f600}" }));
      const chunks = Array.from(body, (byte) =>
        Buffer.concat([Buffer.from("1\r\n"), Buffer.of(byte), Buffer.from("\r\n")]),
      );
      const head = `POST /csp-reports HTTP/1.1\r\nHost: a\r\nContent-Type: ${CSP}\r\nTransfer-Encoding: chunked\r\n\r\n`;
      const sent = Buffer.concat([Buffer.from(head), ...chunks, Buffer.from(`0\r\n\r\n${GET_FINE}`)]);
      expect((await raw(server.port, sent)).text).toMatch(/^HTTP\/1\.1 204 .*fine$/s);
      expect(heard).toBeGreaterThan(0);
      expect(told).toMatchObject([{ blockedUrl: "https://b.example/\u00e9\u{1f600}" }]);
      const large = post(csp({ "script-sample": "\u00e9".repeat(300) }), CSP)
        .toString()
        .replace(/Content-Length: \d+/, "Transfer-Encoding: chunked");
      const [top, rest] = large.split("\r\n\r\n") as [string, string];
      const { text } = await raw(
        server.port,
        `${top}\r\n\r\n${Buffer.byteLength(rest).toString(16)}\r\n${rest}\r\n0\r\n\r\n`,
      );
      expect(text).toMatch(/^HTTP\/1\.1 413 /);
    });

    it("an empty body that was already read is not waited for", async () => {
      const written = jest.spyOn(process.stderr, "write").mockReturnValue(true);
      const { server } = await listening({}, (req, _res, next) => void req.resume().on("end", next));
      expect((await raw(server.port, post("", CSP))).text).toMatch(/^HTTP\/1\.1 400 /);
      written.mockRestore();
    });

    it("an earlier response is not changed", async () => {
      const faults: unknown[] = [];
      const app = express();
      app.use((_req, res, next) => {
        res.end("of somebody else");
        next();
      });
      app.use("/csp-reports", cspReports({ onReport: () => {} }));
      app.use(((fault, _req, _res, _next) => void faults.push(fault)) as express.ErrorRequestHandler);
      const { port } = await listen(app);
      const { text } = await raw(port, post(csp(), CSP, "Origin: https://other.example\r\n"));
      expect(text).toMatch(/^HTTP\/1\.1 200 .*of somebody else$/s);
      expect(faults).toEqual([]);
    });

    it("pause(): the body is resumed", async () => {
      const { server, told } = await listening({}, (req, _res, next) => {
        req.pause();
        setImmediate(next);
      });
      expect((await raw(server.port, post(csp(), CSP))).text).toMatch(/^HTTP\/1\.1 204 /);
      expect(told).toHaveLength(1);
    });
  });

  describe("after a body parser", () => {
    const types = [CSP, REPORTS];
    const limit = "1mb";

    it.each([
      ["express.json", express.json({ type: types, limit })],
      ["express.text", express.text({ type: types, limit })],
      ["express.raw", express.raw({ type: types, limit })],
      ["one that reads other types", express.json()],
      [
        "one that leaves {} for other types, as Express 4's do",
        ((req, _res, next) => {
          req.body = {};
          next();
        }) as express.RequestHandler,
      ],
    ])("%s: the report is still passed on", async (_name, parser) => {
      const { app, told } = receiver({}, parser);
      await request(app).post("/csp-reports").type(CSP).send(csp()).expect(204);
      await request(app)
        .post("/csp-reports")
        .type(REPORTS)
        .send(JSON.stringify([reporting, reporting]))
        .expect(204);
      expect(told).toHaveLength(3);
    });

    it("a body that a parser has decoded is accepted", async () => {
      const { gzipSync } = await import("node:zlib");
      const { app, told } = receiver({}, express.json({ type: types }));
      await request(app)
        .post("/csp-reports")
        .type(CSP)
        .set("Content-Encoding", "gzip")
        .serialize((body) => body)
        .send(gzipSync(csp()) as never)
        .expect(204);
      expect(told).toHaveLength(1);
    });

    it.each([
      ["text", express.text({ type: types, limit })],
      ["bytes", express.raw({ type: types, limit })],
    ])("%s over the limit, or without a report, is refused too", async (_name, parser) => {
      const { app, told } = receiver({ maxBytes: 50 }, parser);
      await request(app).post("/csp-reports").type(CSP).send(csp()).expect(413);
      await request(app).post("/csp-reports").type(CSP).send("[").expect(400);
      expect(told).toEqual([]);
    });

    it("one that keeps the body for itself is an error, logged once", async () => {
      const written = jest.spyOn(process.stderr, "write").mockReturnValue(true);
      const { app, told } = receiver({}, (req, _res, next) => void req.resume().on("end", next));
      for (let i = 0; i < 3; i++) await request(app).post("/csp-reports").type(CSP).send(csp()).expect(400);
      expect(told).toEqual([]);
      expect(
        written.mock.calls.map(([line]) => String(line)).filter((line) => /put it into req\.body/.test(line)),
      ).toHaveLength(1);
      written.mockRestore();
    });
  });
});

describe("clients that leave", () => {
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
});
