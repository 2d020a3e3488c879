import http from "node:http";
import { join } from "node:path";
import type { Express, RequestHandler } from "express";
import { expressServerOptions } from "../../src/serve/express-server-options.js";
import { expressVersions } from "../support/express.js";
import { closeServers, listen, raw, type TestServer, until } from "../support/server.js";
import { closeAll, Wire } from "./support.js";

afterEach(async () => {
  await closeAll();
  await closeServers();
});

const CLOSE = "Host: a\r\nConnection: close\r\n";
const get = (path: string, fields = "Host: a\r\n", method = "GET", version = "1.1") =>
  `${method} ${path} HTTP/${version}\r\n${fields}\r\n`;
const post = (fields: string, body: string) =>
  `${get("/echo", `${CLOSE}Content-Type: application/json\r\n${fields}`, "POST")}${body}`;

/** Requests of all kinds; each connection ends by itself. */
const conversations: Record<string, string | string[]> = {
  GET: get("/", CLOSE),
  HEAD: get("/", CLOSE, "HEAD"),
  OPTIONS: get("/", CLOSE, "OPTIONS"),
  "OPTIONS *": get("*", CLOSE, "OPTIONS"),
  "HTTP/1.0": get("/", "", "GET", "1.0"),
  "HTTP/1.0, kept alive": get("/", "Connection: keep-alive\r\n", "GET", "1.0") + get("/", "", "GET", "1.0"),
  "a method of its own": get("/", CLOSE, "PROPFIND"),
  "an absolute URL": get("http://b.example/mounted/?q=1", CLOSE),
  "nothing there": get("/nothing", CLOSE),
  "HEAD, nothing there": get("/nothing", CLOSE, "HEAD"),
  "a malformed path": get("/%zz", CLOSE),
  "an error thrown": get("/throw", CLOSE),
  "an error with a status": get("/next", CLOSE),
  "an error in a mounted app": get("/mounted/throw", CLOSE),
  "an error after the head": get("/begun", CLOSE),
  "a mounted app": get("/mounted/", CLOSE),
  "past a mounted app": get("/mounted/past", CLOSE),
  "a file": get("/file.txt", CLOSE),
  "a part of it": get("/file.txt", `${CLOSE}Range: bytes=2-5\r\n`),
  "fresh already": get("/", `${CLOSE}If-None-Match: *\r\n`),
  "a redirect": get("/redirect", CLOSE),
  "a body": post("Content-Length: 7\r\n", '{"a":1}'),
  "a body in chunks": [
    post("Transfer-Encoding: chunked\r\n", '3\r\n{"a\r\n'),
    '4\r\n":1}\r\n0\r\nX-T: 1\r\n\r\n',
  ],
  "a body that is too large": post("Content-Length: 60\r\n", JSON.stringify("x".repeat(58))),
  "a body that is no JSON": post("Content-Length: 2\r\n", "{]"),
  "a body that is not read": get("/", `${CLOSE}Content-Length: 5\r\n`, "POST") + "hello",
  "keep-alive": [get("/"), get("/file.txt"), get("/", CLOSE)],
  "pipelined requests, the first slow": get("/slow") + get("/nothing") + get("/throw") + get("/", CLOSE),
  "pipelined, the last with a body": get("/slow") + post("Content-Length: 7\r\n", '{"b":2}'),
  "Expect: 100-continue": [post("Expect: 100-continue\r\nContent-Length: 7\r\n", ""), '{"c":3}'],
  "another expectation": get("/", `${CLOSE}Expect: miracles\r\n`),
  "an upgrade without a listener": get(
    "/",
    "Host: a\r\nConnection: close, Upgrade\r\nUpgrade: websocket\r\n",
  ),
  "no Host": get("/", "Connection: close\r\n"),
  "what is no HTTP": "nonsense\r\n\r\n",
  "a head that is too large": get("/", `${CLOSE}X-Large: ${"x".repeat(20_000)}\r\n`),
  "both lengths": post("Content-Length: 7\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
  "early hints": get("/hints", CLOSE),
  trailers: get("/trailers", CLOSE),
};

describe.each(expressVersions)("%s", (_version, express) => {
  function testApp(): Express {
    const app = express();
    app.set("env", "test");
    app.get("/slow", (_req, res) => void setTimeout(() => res.send("slow"), 10));
    app.get("/throw", () => {
      throw new Error("thrown");
    });
    app.get("/next", (_req, _res, next) => next(Object.assign(new Error("teapot"), { status: 418 })));
    app.get("/begun", (_req, res, next) => {
      res.write("begun");
      setImmediate(() => next(new Error("cut")));
    });
    app.get("/redirect", (_req, res) => res.redirect(303, "/"));
    app.get("/hints", (_req, res) =>
      res.writeEarlyHints({ link: "</a.css>; rel=preload" }, () => res.send("hinted")),
    );
    app.get("/trailers", (_req, res) => {
      res.set("Trailer", "X-Sum").write("body");
      res.addTrailers({ "X-Sum": "4" });
      res.end();
    });
    app.post("/echo", express.json({ limit: 50 }), (req, res) => void res.json({ got: req.body }));
    const inner = express();
    inner.set("env", "test");
    inner.get("/", (req, res) => void res.json([req.baseUrl, req.url, req.originalUrl, req.query]));
    inner.get("/throw", () => {
      throw new Error("inside");
    });
    app.use("/mounted", inner);
    app.use(express.static(join(__dirname, "fixtures", "public"), { lastModified: false }) as RequestHandler);
    app.get("/", (req, res) => void res.vary("X-Y").cookie("a", "b").json([req.hostname, req.httpVersion]));
    return app;
  }

  const plain = (text: string) => text.replace(/^Date: .*$/gm, "Date: now");

  it.each(
    Object.entries(conversations),
  )("%s: the bytes are those without the options", async (_what, parts) => {
    const apps = [testApp(), testApp()] as const;
    const [with_, without] = await Promise.all([
      listen(apps[0], expressServerOptions(apps[0])),
      listen(apps[1]),
    ]);
    const [one, other] = await Promise.all([raw(with_.port, parts, 2_000), raw(without.port, parts, 2_000)]);
    expect(plain(one.text)).toBe(plain(other.text));
    expect(one.text).toMatch(/^HTTP\/1\.1 \d{3} /);
    expect([one.end, other.end]).not.toContain("quiet");
  });

  async function watched(app = testApp()) {
    const seen: unknown[] = [];
    const server = await listen((req, res) => {
      seen.push(Object.getPrototypeOf(req) === app.request, Object.getPrototypeOf(res) === app.response);
      app(req as never, res as never);
    }, expressServerOptions(app));
    return { ...server, app, seen };
  }

  it("every request of a connection has the app's prototype", async () => {
    const { port, seen } = await watched();
    const wire = await Wire.to(port);
    for (let i = 1; i <= 4; i++) {
      wire.get("/slow");
      await until(() => wire.answers().length === i);
    }
    wire.get("/mounted/").get("/throw").get("/nothing");
    await until(() => wire.answers().length === 7);
    expect(wire.answers().map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 500, 404]);
    expect(seen).toEqual(Array(14).fill(true));
  });

  it.each([
    ["checkContinue", "100-continue"],
    ["checkExpectation", "miracles"],
  ])("requests of the event %s too", async (event, expectation) => {
    const app = express();
    app.use((req, res) => void res.send(`${req.app === app} ${req.get("expect")}`));
    const server = await listen(app, expressServerOptions(app));
    server.server.on(event, (req, res) => {
      if (event === "checkContinue") res.writeContinue();
      app(req, res);
    });
    const { text } = await raw(server.port, get("/", `${CLOSE}Expect: ${expectation}\r\n`), 2_000);
    expect(text).toContain(`\r\n\r\ntrue ${expectation}`);
    expect(text.startsWith("HTTP/1.1 100 Continue\r\n\r\n")).toBe(event === "checkContinue");
  });

  it.each([
    ["upgrade", get("/chat?q=1", "Host: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n")],
    ["connect", get("b.example:80", "Host: b.example\r\n", "CONNECT")],
  ])("the request of the event %s has the app's prototype, and its listener has the connection", async (event, head) => {
    const app = testApp();
    const server = await listen(app, expressServerOptions(app));
    const seen: unknown[] = [];
    server.server.on(event, (req, socket) => {
      seen.push(req instanceof http.IncomingMessage, req.app === app, req.get("host"), req.method);
      socket.write("HTTP/1.1 101 Switching Protocols\r\n\r\n");
      socket.on("data", (chunk: Buffer) => socket.end(`echo ${chunk}`));
    });
    const wire = (await Wire.to(server.port)).send(head);
    await wire.heard("101 Switching");
    await wire.send("hello").heard("echo hello");
    expect(await wire.ended()).toBe("fin");
    expect(seen).toEqual([true, true, ...(event === "upgrade" ? ["a", "GET"] : ["b.example", "CONNECT"])]);
    expect((await raw(server.port, get("/", CLOSE), 2_000)).text).toContain("200 OK"); // and it continues
  });

  it("a client that leaves is noticed, in an upload and in a download", async () => {
    const closed: string[] = [];
    const app = express();
    app.use((req, res) => {
      res.on("close", () => closed.push(`${req.path} ${req.complete} ${res.writableFinished}`));
      if (req.path === "/download") res.write("begun");
      else req.resume();
    });
    const { port }: TestServer = await listen(app, expressServerOptions(app));
    const upload = (await Wire.to(port)).send(
      get("/upload", "Host: a\r\nContent-Length: 9\r\n", "POST"),
      "half",
    );
    const download = await (await Wire.to(port)).get("/download").heard("begun");
    await Promise.all([upload.reset(), download.reset()]);
    await until(() => closed.length === 2);
    expect(closed.sort()).toEqual(["/download true false", "/upload false false"]);
  });
});
