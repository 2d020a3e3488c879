import http2 from "node:http2";
import express from "express";
import { requestContext } from "../../src/context/index.js";
import { recover } from "../../src/recover/index.js";
import { requestLog } from "../../src/request-log/index.js";
import { serve } from "../../src/serve/index.js";
import { ask, closeHttp2, connectHttp2 } from "../support/http2.js";
import { memoryLogger } from "../support/logger.js";
import { closeServers, listen, raw, until } from "../support/server.js";
import { oneIn } from "../support/soak.js";
import { begin, closeAll, type Scene, TRANSPORTS, type Transport } from "./support.js";

describe("targets", () => {
  afterEach(() => Promise.all([closeAll(), closeServers()]));

  function memory() {
    const { entries, ...logger } = memoryLogger();
    return { entries, logger };
  }

  const MESSAGE = "a request was refused before it reached the app";

  /** Answers with the request as the app sees it. */
  function mirror() {
    const app = express();
    app.use((req, res) => {
      const { url, rawHeaders, headersDistinct } = req;
      const raws = rawHeaders.filter((_, i, all) => i % 2 === 1 && all[i - 1]!.toLowerCase() === "host");
      res.json({ url, host: req.headers.host, express: req.host, raws, distinct: headersDistinct.host });
    });
    return app;
  }

  async function exchange(scene: Scene, sent: string) {
    const client = await scene.wire();
    client.send(sent);
    await until(() => client.answers().length > 0 || client.end !== undefined, 5_000);
    return client;
  }

  type Refused = readonly [sent: string, status: number, code: string | RegExp];

  /** Each is answered like this, on a connection of its own that then ends, and logged once; the server continues. */
  async function expectRefused(scene: Scene, cases: readonly Refused[]) {
    const answers = await Promise.all(
      cases.map(async ([sent]) => {
        const client = await exchange(scene, sent);
        return [sent, await client.ended(), client.answers()];
      }),
    );
    expect(answers).toEqual(
      cases.map(([sent, status]) => [
        sent,
        "fin",
        [{ status, body: "", headers: expect.objectContaining({ connection: "close" }) }],
      ]),
    );
    expect(scene.seen).toEqual([]);
    expect(scene.log).toHaveLength(cases.length);
    for (const [sent, status, code] of cases) {
      const entry = {
        level: "warn",
        message: MESSAGE,
        fields: {
          status,
          code: typeof code === "string" ? code : expect.stringMatching(code),
          reason: expect.stringMatching(/\w/),
          remoteAddress: "127.0.0.1",
        },
      };
      expect([sent, scene.log]).toEqual([sent, expect.arrayContaining([entry])]);
    }
    const next = await exchange(scene, "GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    expect(next.answers()[0]).toMatchObject({ status: 200 });
  }

  describe.each(oneIn(2, TRANSPORTS))("over %s", (transport) => {
    it("another version than 1.0 and 1.1 is refused, and the server continues", async () => {
      await expectRefused(await begin(transport), [
        ["GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, "ERR_HTTP_VERSION"],
        ["POST /x HTTP/2.0\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 505, "ERR_HTTP_VERSION"],
        ["GET / HTTP/2.0\r\n\r\n", 505, "ERR_HTTP_VERSION"],
        ["GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505, "ERR_HTTP_VERSION"],
        ["GET /\r\n\r\n", 505, "ERR_HTTP_VERSION"],
        ["GET / HTTP/1.2\r\nHost: a\r\n\r\n", 400, "HPE_INVALID_VERSION"],
        ["GET / HTTP/3.0\r\nHost: a\r\n\r\n", 400, "HPE_INVALID_VERSION"],
        ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, /^HPE_/],
      ]);
    });

    it("an invalid target of a GET is answered with 400", async () => {
      const targets = [
        "/page#part",
        "/#token=S",
        "/?q=1#",
        "/a#b?c",
        "http://shop.example/#x",
        "http://[/x",
        "http://[::1/x",
        "http://[:::::]/x",
        "http:///x",
        "http://user:secret@shop.example/",
        "http://user@shop.example/",
        "http://@/x",
        "http://:80/",
        "http://shop%2eexample/",
        "http://h%41/x",
        "http://xn--/x",
        "http://h'x/y",
        "http://h;x/y",
        "http://h:99999/",
        "http://h:8x/",
        "ftp://shop.example/x",
        "ws://shop.example/x",
        "*",
      ];
      const cases = targets.map(
        (target): Refused => [
          `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`,
          400,
          /^(?:ERR_TARGET|HPE_INVALID_URL)$/,
        ],
      );
      await expectRefused(await begin(transport), cases);
    });

    it("the host of an absolute-form target is the request's host everywhere", async () => {
      const scene = await begin(transport, {}, mirror());
      const cases = [
        ["http://www.shop.example/", "evil.example", "www.shop.example"],
        ["http://www.shop.example/x?y=1", "evil.example", "www.shop.example"],
        ["HTTP://Shop.Example:8080/x", "evil.example", "Shop.Example:8080"],
        ["https://shop.example?x", "evil.example", "shop.example"],
        ["http://[::1]:80/x", "evil.example", "[::1]:80"],
        ["http://127.0.0.1", "evil.example", "127.0.0.1"],
        ["http://same.example/", "same.example", "same.example"],
        ["//evil.example/x", "shop.example", "shop.example"],
        ["/\\evil.example", "shop.example", "shop.example"],
        ["/http://evil.example/", "shop.example", "shop.example"],
        ["/x?at=http://evil.example/", "shop.example", "shop.example"],
      ];
      for (const [url, sent, host] of cases) {
        const client = await exchange(scene, `GET ${url} HTTP/1.1\r\nhOST: ${sent}\r\n\r\n`);
        const [{ body } = { body: "{}" }] = client.answers();
        expect(JSON.parse(body)).toEqual({ url, host, express: host, raws: [host], distinct: [host] });
        client.socket.destroy();
      }
      expect(scene.log).toEqual([]);
    });

    it("HTTP/1.0 needs no Host; an absolute target sets it", async () => {
      const scene = await begin(transport, {}, mirror());
      const client = await exchange(scene, "GET http://shop.example/ HTTP/1.0\r\n\r\n");
      expect(JSON.parse(client.answers()[0]!.body)).toEqual({
        url: "http://shop.example/",
        host: "shop.example",
        express: "shop.example",
        raws: ["shop.example"],
        distinct: ["shop.example"],
      });
    });

    it("an absolute target does not excuse a missing or a second Host", async () => {
      const scene = await begin(transport, {}, mirror());
      const none = await exchange(scene, "GET http://a/ HTTP/1.1\r\n\r\n");
      const two = await exchange(scene, "GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n");
      expect([none.answers()[0]!.status, two.answers()[0]!.status]).toEqual([400, 400]);
    });

    it("an upgrade request is checked in the same way", async () => {
      const scene = await begin(transport);
      const upgrades: string[] = [];
      scene.served.server.on("upgrade", (req, socket) => {
        upgrades.push(req.headers.host!);
        socket.end("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
      });
      const fields = "Connection: Upgrade\r\nUpgrade: x\r\n\r\n";
      await expectRefused(scene, [
        [`GET /chat#x HTTP/1.1\r\nHost: a\r\n${fields}`, 400, "ERR_TARGET"],
        [`GET http://[/x HTTP/1.1\r\nHost: a\r\n${fields}`, 400, "ERR_TARGET"],
        [`GET /chat HTTP/1.1\r\nHost: a\r\nHost: b\r\n${fields}`, 400, "ERR_HOST_REPEATED"],
        [`GET /chat HTTP/2.0\r\nHost: a\r\n${fields}`, 505, "ERR_HTTP_VERSION"],
      ]);
      await exchange(scene, `GET http://shop.example/chat HTTP/1.1\r\nHost: evil.example\r\n${fields}`);
      expect(upgrades).toEqual(["shop.example"]);
    });

    it("an invalid chunk after an early response gets no second response", async () => {
      const scene = await begin(transport);
      const client = await scene.wire();
      client.send("POST /early HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
      await client.heard("/early");
      client.send("3\r\nabc\r\n");
      await new Promise(setImmediate);
      client.send("nonsense\r\n", "GET /after HTTP/1.1\r\nHost: a\r\n\r\n");
      await client.ended();
      expect(client.answers().map(({ status }) => status)).toEqual([200]);
      expect(scene.seen).toEqual(["/early"]);
      expect(scene.log).toHaveLength(1);
    });
  });

  describe("over HTTP/2", () => {
    it("an invalid path is answered with 400, and the session continues", async () => {
      const scene = await begin("http2", {}, mirror());
      const session = http2.connect(scene.served.url, { rejectUnauthorized: false });
      const statusOf = (head: http2.OutgoingHttpHeaders) =>
        new Promise((resolve, reject) => {
          const stream = session.request(head).on("error", reject);
          stream.on("response", (response) => resolve(response[":status"])).resume();
        });
      // Node itself resets streams with such a path, but only if the scheme is http or https.
      for (const path of ["page", "http://evil.example/x", "*", "?x", "/x#y"]) {
        expect([path, await statusOf({ ":path": path, ":scheme": "x" })]).toEqual([path, 400]);
      }
      expect(scene.log.map(({ fields }) => fields.code)).toEqual(Array(5).fill("ERR_TARGET"));
      for (const path of ["//evil.example/x", "/x"]) {
        expect([path, await statusOf({ ":path": path })]).toEqual([path, 200]);
      }
      expect(await statusOf({ ":path": "*", ":method": "OPTIONS" })).toBe(200);
      expect(scene.log).toHaveLength(5);
      session.destroy();
    });
  });

  describe("without serve", () => {
    it.each([
      "GET / HTTP/2.0",
      "GET / HTTP/0.9",
      "GET /",
    ])("our middleware answers and logs %j", async (line) => {
      const entries: object[] = [];
      const app = express();
      app.use(requestContext());
      app.use(requestLog({ format: (entry) => void entries.push(entry) }));
      app.use((req, res) => {
        if (req.path === "/") throw new Error("boom");
        res.send("ok");
      });
      app.use(recover({ logger: { debug() {}, info() {}, warn() {}, error() {} } }));
      const { port } = await listen(app);
      const { text, end } = await raw(port, `${line}\r\nHost: a\r\n\r\n`);
      expect(text).toMatch(/^HTTP\/1\.1 500 /);
      expect(end).toBe("fin");
      await until(() => entries.length === 1);
      expect(entries[0]).toMatchObject({ status: 500, path: "/" });
    });
  });

  it("a version of HTTP/2 on HTTP/1 is no uncaught error", async () => {
    const before = process.listenerCount("uncaughtException");
    const { logger, entries } = memory();
    const served = await serve(mirror(), { port: 0, host: "127.0.0.1", signals: false, logger });
    const { port } = new URL(served.url);
    const { text } = await raw(Number(port), "GET / HTTP/2.0\r\nHost: h\r\n\r\n");
    expect(text).toMatch(/^HTTP\/1\.1 505 /);
    const again = await raw(Number(port), "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    expect(again.text).toMatch(/^HTTP\/1\.1 200 /);
    expect((await served.close()).error).toBeUndefined();
    expect(entries.map(({ level }) => level)).toEqual(["warn"]);
    expect(process.listenerCount("uncaughtException")).toBe(before);
  });
});

describe("probes", () => {
  afterEach(async () => {
    await closeHttp2();
    await closeAll();
  });

  const probes = { live: "/livez", ready: "/readyz" };

  /** One request over the transport's version of HTTP. */
  async function answerOf(
    transport: Transport,
    method: string,
    path: string,
    fields: Record<string, string> = {},
  ) {
    const scene = await begin(transport, { probes });
    if (transport === "http2") {
      const { status, headers, body } = await ask(connectHttp2(scene.served.url), path, {
        method,
        headers: fields,
      });
      return { status, headers, body, scene };
    }
    const client = await scene.wire();
    const extra = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
    client.send(`${method} ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${extra.join("")}\r\n`);
    await client.ended();
    return { ...client.answers()[0]!, scene };
  }

  describe.each(["http", "http2"] as const)("over %s", (transport) => {
    it.each([
      ["GET", "/livez"],
      ["GET", "/readyz"],
      ["GET", "/livez?verbose"],
      ["GET", "/readyz?"],
      ["HEAD", "/livez"],
      ["HEAD", "/readyz?x=/other"],
    ])("%s %s is answered before the app", async (method, path) => {
      const { status, headers, body, scene } = await answerOf(transport, method, path);
      expect(status).toBe(200);
      expect(body).toBe(method === "HEAD" ? "" : "ok\n");
      expect(headers).toMatchObject({
        "cache-control": "no-store",
        "content-length": "3",
        "content-type": "text/plain; charset=utf-8",
      });
      expect(scene.seen).toEqual([]);
      expect(scene.log).toEqual([]);
    });

    it.each([
      ["POST", "/livez"],
      ["PUT", "/readyz"],
      ["DELETE", "/livez"],
      ["OPTIONS", "/livez"],
      ["GET", "/livez/"],
      ["GET", "/LIVEZ"],
      ["GET", "/livez/more"],
      ["GET", "/x?/livez"],
      ["GET", "/%6Civez"],
      ["OPTIONS", "/"],
      ["OPTIONS", "/*"],
    ])("%s %s reaches the app", async (method, path) => {
      const { body, scene } = await answerOf(transport, method, path);
      expect(body).toBe(path);
      expect(scene.seen).toEqual([path]);
    });

    it("OPTIONS * asks about the server as a whole: 200, and empty", async () => {
      const { status, headers, body, scene } = await answerOf(transport, "OPTIONS", "*");
      expect([status, body, headers["content-length"], headers["content-type"]]).toEqual([
        200,
        "",
        "0",
        undefined,
      ]);
      expect(scene.seen).toEqual([]);
    });
  });

  it("OPTIONS * with an Origin is no preflight: it allows nothing", async () => {
    const { headers } = await answerOf("http", "OPTIONS", "*", {
      Origin: "https://evil.example",
      "Access-Control-Request-Method": "PUT",
    });
    expect(Object.keys(headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
  });

  it("a target in absolute form has the same path", async () => {
    const scene = await begin("http", { probes });
    const client = await scene.wire();
    client.get("http://localhost/livez?x=1");
    await client.heard("ok\n");
    expect(scene.seen).toEqual([]);
  });

  it.each([
    ["only live", { live: "/healthz" }, "/healthz", "/readyz"],
    ["only ready", { ready: "/healthz" }, "/healthz", "/livez"],
  ])("%s: the other path reaches the app", async (_what, probes, own, other) => {
    const { wire, seen } = await begin("http", { probes });
    const client = await wire();
    await client.get(own).heard("ok\n");
    await client.get(other).heard(other);
    expect(seen).toEqual([other]);
  });

  it("without probes, their usual paths reach the app", async () => {
    const { wire } = await begin("http");
    await (await wire()).get("/livez").heard("/livez");
  });

  it("a probe with a body does not confuse the next request", async () => {
    const { wire } = await begin("http", { probes });
    const client = await wire();
    client.send("GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    await client.get("/next").heard("/next");
    expect(client.answers().map(({ body }) => body)).toEqual(["ok\n", "/next"]);
  });

  it("a probe with a body that does not end is answered, and its connection closed", async () => {
    const { wire } = await begin("http", { probes });
    const client = await wire();
    client.send("GET /livez HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    await client.heard("ok\n");
    expect(client.answers()[0]!.headers.connection).toBe("close");
    expect(await client.ended()).toBe("fin");
  });

  it.each(
    TRANSPORTS,
  )("over %s the readiness probe answers 503 while the server closes, also without a delay", async (transport) => {
    const { served, wire } = await begin(transport, { probes, drain: { delayMs: 0, idleGraceMs: 2_000 } });
    const [client, other] = await Promise.all([wire(), wire()]);
    await client.get("/readyz").heard("ok\n");
    await other.get("/livez").heard("ok\n");
    const closed = served.close();
    await client.get("/readyz").heard("draining\n");
    other.text = "";
    await other.get("/livez").heard("ok\n");
    expect(client.answers().map(({ status }) => status)).toEqual([200, 503]);
    expect((await closed).forced).toBe(false);
  });

  it("the readiness probe answers 503 also after the server's own close()", async () => {
    const { served, wire, held } = await begin("http", { probes: { ready: "/readyz" } });
    const client = await wire();
    client.get("/stream/1");
    await client.heard("begun");
    served.server.close();
    client.get("/readyz");
    (await held("/stream/1")).end("end");
    await client.heard("draining\n");
    client.socket.destroy();
    await served.closed;
  });
});
