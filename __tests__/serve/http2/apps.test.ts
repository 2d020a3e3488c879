import http from "node:http";
import http2, { type ClientHttp2Session } from "node:http2";
import express, { type Express, type Request, type RequestHandler } from "express";
import { requestContext } from "../../../src/context/index.js";
import { cors } from "../../../src/cors/index.js";
import { recover } from "../../../src/recover/index.js";
import { requestLog } from "../../../src/request-log/index.js";
import { securityHeaders } from "../../../src/security-headers/index.js";
import { expressServerOptions } from "../../../src/serve/express-server-options.js";
import { bridgeHttp2, http2ServerOptions } from "../../../src/serve/http2/bridge.js";
import { type Ask, ask, ask1, closeHttp2, connectHttp2, listenHttp2 } from "../../support/http2.js";
import { memoryLogger } from "../../support/logger.js";
import { until } from "../../support/server.js";
import { begin, closeAll, type Listener } from "../support.js";

describe("apps", () => {
  afterEach(closeHttp2);

  type Extended = Request & Record<string, unknown>;

  /** The same request over HTTP/2 and over HTTP/1.1; both responses. */
  async function start(app: unknown, options: http2.SecureServerOptions = {}) {
    bridgeHttp2(app);
    const { url } = await listenHttp2(app, options);
    const session = connectHttp2(url);
    return async (path: string, question?: Ask) => {
      const [two, one] = await Promise.all([ask(session, path, question), ask1(url, path, question)]);
      expect([two.status, two.body]).toEqual([one.status, one.body]);
      return two.body;
    };
  }

  const tells: RequestHandler = (req, res) => {
    const { foo, bar, own } = req as Extended;
    const { say } = res as never as { say?: () => string };
    res.json({ foo, bar, own, said: say?.call(res) });
  };

  describe("a property that the program adds to app.request or app.response", () => {
    it("is seen, also when it is overwritten or removed later", async () => {
      const app = express();
      const request = app.request as unknown as Record<string, unknown>;
      request.foo = "before";
      request.own = 1;
      app.use((req, _res, next) => {
        (req as Extended).own = "set on the request";
        next();
      }, tells);
      const get = await start(app);
      const seen = async () => JSON.parse(await get("/"));

      expect(await seen()).toEqual({ foo: "before", own: "set on the request" });
      request.foo = "after";
      Object.defineProperty(request, "bar", {
        configurable: true,
        get(this: Request) {
          return this.method;
        },
      });
      Object.assign(app.response, {
        say(this: express.Response) {
          return this.req.url;
        },
      });
      expect(await seen()).toEqual({ foo: "after", bar: "GET", own: "set on the request", said: "/" });
      Reflect.deleteProperty(request, "bar");
      request.baz = 1; // as many names as before
      expect(await seen()).toEqual({ foo: "after", own: "set on the request", said: "/" });
    });

    it("is seen on express.request, in sub-apps, and after the prototypes were replaced", async () => {
      const app = express();
      const sub = express().use(tells);
      app.use("/sub", sub).use(tells);
      const get = await start(app);
      await get("/sub");
      const shared = express.request as unknown as Record<string, unknown>;
      try {
        shared.foo = "shared";
        (app.request as unknown as Record<string, unknown>).bar = "parent's";
        expect(JSON.parse(await get("/sub"))).toEqual({ foo: "shared", bar: "parent's" });
      } finally {
        Reflect.deleteProperty(shared, "foo");
      }
      const between = Object.create(Object.getPrototypeOf(app.request), { foo: { value: "between" } });
      Object.setPrototypeOf(app.request, between);
      expect(JSON.parse(await get("/sub"))).toEqual({ foo: "between", bar: "parent's" });
      Object.setPrototypeOf(app.request, Object.getPrototypeOf(between));
      app.request = Object.create(app.request, { own: { value: "replaced" } });
      expect(JSON.parse(await get("/"))).toEqual({ bar: "parent's", own: "replaced" });
    });

    it("can be assigned to as on an ordinary prototype", async () => {
      const app = express();
      Object.defineProperties(app.request, {
        readonly: { value: 1, writable: false },
        getter: { get: () => 2 },
        setter: {
          get(this: Extended) {
            return this._set;
          },
          set(this: Extended, value) {
            this._set = value * 2;
          },
        },
      });
      app.use((req, res) => {
        const fields = req as Extended;
        const failed: string[] = [];
        for (const name of ["readonly", "getter", "setter", "app"]) {
          try {
            fields[name] = name === "app" ? req.app : 4;
          } catch (error) {
            failed.push((error as Error).name);
          }
        }
        res.json([fields.readonly, fields.getter, fields.setter, failed, Object.hasOwn(req, "app")]);
      });
      const get = await start(app);
      expect(JSON.parse(await get("/"))).toEqual([1, 2, 8, ["TypeError", "TypeError"], true]);
    });
  });

  describe("mounted apps", () => {
    const isIn =
      (app: Express): RequestHandler =>
      (req, res) =>
        void res.json(req.app === app && res.app === app);

    it("can be mounted after the start, at any depth", async () => {
      const app = express();
      const get = await start(app);
      await get("/");
      const sub = express();
      app.use("/sub", sub);
      sub.get("/here", isIn(sub));
      expect(await get("/sub/here")).toBe("true");
      const deeper = express();
      sub.use(deeper);
      deeper.get("/deeper", isIn(deeper));
      sub.get("/after", isIn(sub));
      app.get("/sub/last", isIn(app));
      for (const path of ["deeper", "after", "last"]) expect(await get(`/sub/${path}`)).toBe("true");
    });

    it.each(["GET", "HEAD", "OPTIONS"])("may pass on a %s as the last handler", async (method) => {
      const innermost = express();
      const inner = express().use(innermost);
      const app = express().use(inner);
      innermost.post("/there", tells);
      const get = await start(app);
      for (const path of ["/none", "/there"]) await get(path, { method });
      app.use(express().use(express())); // later
      for (const path of ["/none", "/there"]) await get(path, { method });
    });

    it("may pass on an error", async () => {
      const inner = express().use(() => {
        throw Object.assign(new Error("inner"), { status: 410, stack: "inner" });
      });
      const get = await start(express().use(inner).set("env", "test"));
      expect(await get("/")).toContain("inner");
    });

    it("see an unchanged app: no router before its first use, and the original prototypes", async () => {
      const app = express();
      const { request, response } = app;
      bridgeHttp2(app);
      app.enable("case sensitive routing");
      app.get("/a", (req, res) => {
        res.json([app.request === request, app.response === response, Object.keys(app).includes("request")]);
        void req;
      });
      const sub = express();
      app.use("/sub", sub);
      expect(Object.getPrototypeOf(sub.request)).toBe(request);
      const get = await start(app);
      expect(JSON.parse(await get("/a"))).toEqual([true, true, true]);
      expect(await get("/A")).toContain("Cannot GET /A");
    });

    it("may be called within a request of the other protocol", async () => {
      const app = express();
      let inner: unknown;
      app.get("/outer", (_req, res) => {
        const req = Object.assign(new http.IncomingMessage(null as never), { url: "/inner", method: "GET" });
        const other = new http.ServerResponse(req);
        app(req as never, other as never);
        inner = [other.statusCode, other instanceof http.ServerResponse];
        res.send("outer");
      });
      app.get("/inner", (_req, res) => void res.status(202).end());
      const get = await start(app);
      expect(await get("/outer")).toBe("outer");
      expect(inner).toEqual([202, true]);
    });
  });

  describe("concurrent requests", () => {
    it("have the prototypes of their protocol at every step", async () => {
      const app = express();
      const sub = express();
      const faults: string[] = [];
      const pause = (n: number) =>
        new Promise<void>((resolve) => (n % 3 === 0 ? setImmediate(resolve) : setTimeout(resolve, n % 3)));
      const step =
        (owner: Express, name: string): RequestHandler =>
        async (req, res, next) => {
          const check = () => {
            const isTwo = req.httpVersionMajor === 2;
            const isRight =
              isTwo === req instanceof http2.Http2ServerRequest &&
              isTwo === res instanceof http2.Http2ServerResponse &&
              isTwo !== req instanceof http.IncomingMessage &&
              req.app === owner &&
              res.app === owner;
            if (!isRight) faults.push(`${name} of ${req.originalUrl}`);
          };
          check();
          await pause(Number(req.query.n));
          check();
          next();
        };
      sub.use(step(sub, "sub"));
      sub.get("/answer", (req, res) => void res.send(`sub ${req.query.n}`));
      app.use(step(app, "app"));
      app.use("/sub", sub, step(app, "after"));
      app.use(step(app, "last"));
      app.use((req, res) => void res.send(`app ${req.query.n}`));

      bridgeHttp2(app);
      const { url } = await listenHttp2(app);
      const session = connectHttp2(url);
      const answers = await Promise.all(
        Array.from({ length: 200 }, async (_, n) => {
          const isSub = n % 4 < 2;
          const path = `${n % 2 === 0 ? "/sub" : ""}${isSub ? "/answer" : "/other"}?n=${n}`;
          const { body } = await (n % 5 < 3 ? ask(session, path) : ask1(url, path));
          return body === `${path.startsWith("/sub/answer") ? "sub" : "app"} ${n}`;
        }),
      );
      expect(faults).toEqual([]);
      expect(answers.every(Boolean)).toBe(true);
    });
  });

  describe("the argument of bridgeHttp2", () => {
    it.each([
      ["a listener", (_req: unknown, res: http.ServerResponse) => void res.end("plain")],
      [
        "a server's own handler with a name",
        function handle(_req: unknown, res: http.ServerResponse) {
          res.end("plain");
        },
      ],
    ])("%s is not changed", async (_name, listener) => {
      const before = Reflect.ownKeys(listener);
      bridgeHttp2(listener);
      expect(Reflect.ownKeys(listener)).toEqual(before);
      expect(http2ServerOptions(listener)).toEqual({});
      const { url } = await listenHttp2(listener, { tls: false });
      expect(await ask(connectHttp2(url), "/")).toMatchObject({ body: "plain" });
    });

    it.each([[undefined], [null], [{}], ["app"], [express.Router()]])("%p is not changed", (value) => {
      expect(() => bridgeHttp2(value)).not.toThrow();
      expect(http2ServerOptions(value)).toEqual({});
    });

    it("an app is bridged once", () => {
      const app = express();
      bridgeHttp2(app);
      const { handle } = app as unknown as { handle: unknown };
      bridgeHttp2(app);
      expect((app as unknown as { handle: unknown }).handle).toBe(handle);
      expect(http2ServerOptions(app)).toEqual(http2ServerOptions(app));
    });
  });

  describe("http2ServerOptions", () => {
    it("makes requests and responses with the prototypes that the app needs", async () => {
      const app = express();
      const seen: boolean[] = [];
      app.use((req, res) => {
        seen.push(Object.getPrototypeOf(req) === made[0], Object.getPrototypeOf(res) === made[1]);
        res.send(req.hostname);
      });
      const options = { ...expressServerOptions(app), ...http2ServerOptions(app) };
      let made: unknown[] = [];
      const { url } = await listenHttp2((req: Request, res: http.ServerResponse) => {
        made = [Object.getPrototypeOf(req), Object.getPrototypeOf(res)];
        app(req, res as never);
      }, options as http2.SecureServerOptions);
      const given = jest.spyOn(Object, "setPrototypeOf");
      expect(await ask(connectHttp2(url), "/")).toMatchObject({ body: "localhost" });
      expect(await ask1(url, "/")).toMatchObject({ body: "localhost" });
      expect(seen).toEqual([true, true, true, true]);
      // They never had another prototype.
      expect(given.mock.calls.filter(([, prototype]) => prototype === app.request)).toHaveLength(1);
      given.mockRestore();
    });
  });
});

describe("middleware", () => {
  describe.each([
    ["prototypes changed by Express", false],
    ["prototypes from the beginning", true],
  ])("the concerns of this package, %s", (_name, isFast) => {
    const lines: string[] = [];
    let session: http2.ClientHttp2Session;
    let url: string;

    beforeAll(async () => {
      const app = express();
      app.use(
        requestContext({ trustRequestId: true }),
        requestLog({ format: "json", stream: { write: (line) => void lines.push(line) } }),
        cors({ origin: "https://a.example", credentials: true }),
        securityHeaders(),
        express.json(),
      );
      app.get("/fine", (_req, res) => void res.send("fine"));
      app.post("/body", (req, res) => void res.json(req.body));
      app.get(
        "/head",
        (_req, res) => void res.writeHead(203, "Reason", { "X-A": "1", Connection: "close" }).end("xy"),
      );
      app.get("/list", (_req, res) => void res.writeHead(200, ["X-A", "1", "X-A", "2"]).end("xy"));
      app.get("/written", (_req, res) => {
        res.write("one");
        res.end("two");
      });
      app.get("/flushed", (_req, res) => {
        res.flushHeaders();
        res.end("late");
      });
      app.get("/empty", (_req, res) => void res.sendStatus(204));
      app.get("/fails", () => {
        throw Object.assign(new Error("refused"), { status: 409, expose: true });
      });
      app.use(recover({ logger: memoryLogger() }));
      bridgeHttp2(app);
      ({ url } = await listenHttp2(app, isFast ? http2ServerOptions(app) : {}));
      session = connectHttp2(url);
    });
    afterAll(closeHttp2);

    async function told(answer: ReturnType<typeof ask>) {
      lines.length = 0;
      const { status, headers, body, isWhole } = await answer;
      await until(() => lines.length > 0);
      const { date, connection, "keep-alive": _, "transfer-encoding": __, ...rest } = headers;
      const { time, durationMs, headersMs, httpVersion, ...entry } = JSON.parse(lines[0]!);
      return { status, headers: rest, body, isWhole, entry, lines: lines.length };
    }

    const origin = "https://a.example";
    const questions: [string, Ask][] = [
      ["/fine", {}],
      ["/fine", { method: "HEAD" }],
      ["/fine", { headers: { origin } }],
      ["/fine", { headers: { origin: "https://b.example" } }],
      ["/fine", { method: "OPTIONS", headers: { origin, "access-control-request-method": "PUT" } }],
      ["/body", { method: "POST", body: '{"a":1}', headers: { "content-type": "application/json" } }],
      ["/body", { method: "POST", body: '{"a"', headers: { "content-type": "application/json" } }],
      ["/head", {}],
      ["/list", {}],
      ["/written", {}],
      ["/written", { method: "HEAD" }],
      ["/flushed", {}],
      ["/empty", {}],
      ["/fails", { headers: { accept: "application/json", origin } }],
      ["/none", {}],
    ];
    it.each(
      questions.map(([path, question], i) => [i, question.method ?? "GET", path, question] as const),
    )("%d. %s %s is answered and logged alike", async (_i, _method, path, { headers, ...question }) => {
      const same = {
        ...question,
        headers: {
          ...headers,
          "x-request-id": "0123456789abcdef0123456789abcdef",
          traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        },
      };
      const expected = await told(ask1(url, path, same));
      const actual = await told(ask(session, path, same));
      expect(actual).toEqual(expected);
      expect(actual.lines).toBe(1);
    });
  });
});

describe("a plain listener", () => {
  afterEach(async () => {
    await closeHttp2();
    await closeAll();
  });

  function named(name: string): Express {
    const app = express();
    app.set("env", "test");
    app.use(express.json());
    app.get("/fails", () => {
      throw new Error("planned");
    });
    app.use((req, res) => {
      res.cookie("app", name);
      res.json({ name, ip: req.ip, secure: req.secure, host: req.hostname, body: req.body });
    });
    return app;
  }

  async function served(listener: Listener): Promise<{ url: string; session: ClientHttp2Session }> {
    const { served } = await begin("http2", {}, listener);
    return { url: served.url, session: connectHttp2(served.url) };
  }

  describe("Express apps that a plain listener calls", () => {
    it("answer over HTTP/2 and HTTP/1 from their first request on, also several of them", async () => {
      const apps = [named("a"), named("b")];
      const { url, session } = await served((req, res) =>
        apps[req.url === "/b" ? 1 : 0]!(req as never, res as never),
      );
      for (const path of ["/a", "/b", "/a", "/b"]) {
        const two = await ask(session, path);
        const one = await ask1(url, path);
        expect([two.status, two.body]).toEqual([200, one.body]);
        expect(JSON.parse(two.body)).toMatchObject({ name: path.slice(1), secure: true, ip: "127.0.0.1" });
        expect(two.headers["set-cookie"]).toEqual(one.headers["set-cookie"]);
      }
    });

    it("answer with an error at their first request", async () => {
      const app = named("a");
      const { session } = await served((req, res) => app(req as never, res as never));
      expect((await ask(session, "/fails")).status).toBe(500);
      expect((await ask(session, "/")).status).toBe(200);
    });

    it("are bridged also after asynchronous work, when the url was read and changed before", async () => {
      const app = named("a");
      const { session } = await served(async (req, res) => {
        req.url = `${req.url}fails`;
        await new Promise((resolve) => setImmediate(resolve));
        app(req as never, res as never);
      });
      expect((await ask(session, "/")).status).toBe(500);
      expect((await ask(session, "/")).status).toBe(500);
    });
  });

  it.each([
    ["an Express app", (app: Express): Listener => app],
    [
      "an Express app that a listener calls",
      (app: Express): Listener =>
        (req, res) =>
          app(req as never, res as never),
    ],
  ])("%s still reads address and protocol of a request after its response", async (_name, listenerOf) => {
    const app = express();
    const found: unknown[] = [];
    app.use((req, res) => {
      res.on("close", () =>
        setImmediate(() => {
          const { remoteAddress, remotePort, localPort, encrypted } = req.socket as typeof req.socket & {
            encrypted: boolean;
          };
          found.push([
            req.ip,
            req.secure,
            req.protocol,
            remoteAddress,
            typeof remotePort,
            localPort,
            encrypted,
          ]);
          req.socket.destroy();
        }),
      );
      res.send("answered");
    });
    const { url, session } = await served(listenerOf(app));
    await ask(session, "/");
    await until(() => found.length >= 1);
    expect(found[0]).toEqual([
      "127.0.0.1",
      true,
      "https",
      "127.0.0.1",
      "number",
      Number(new URL(url).port),
      true,
    ]);
    expect((await ask(session, "/")).body).toBe("answered");
  });
});
