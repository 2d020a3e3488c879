import http from "node:http";
import https from "node:https";
import { type AddressInfo, Socket } from "node:net";
import { join } from "node:path";
import express5, { type Express, type Request, type RequestHandler, type Response } from "express";
import request from "supertest";
import { ConfigError } from "../../src/lib/config/config-error.js";
import { expressServerOptions } from "../../src/serve/express-server-options.js";
import { certificate } from "../support/certificate.js";
import { expressVersions } from "../support/express.js";
import { ask, ask1, closeHttp2, connectHttp2, listenHttp2 } from "../support/http2.js";
import { closeServers, listen, raw, type TestServer, until } from "../support/server.js";
import { inSoak, oneIn } from "../support/soak.js";
import { endPrograms, start } from "./fixtures/uncaught-program.js";
import { begin, closeAll, Wire } from "./support.js";

describe("options of the server", () => {
  const open = new Set<https.Server>();
  afterEach(async () => {
    await Promise.all([closeServers(), closeHttp2(), closeAll()]);
    for (const server of open) {
      server.close();
      server.closeAllConnections();
    }
    open.clear();
  });
  afterAll(endPrograms);

  type Listener = (req: http.IncomingMessage, res: http.ServerResponse) => void;

  /** Servers that a program makes with the options; the URL of each. */
  const makers: Record<string, (options: object, listener: Listener) => Promise<string>> = {
    "http.createServer": async (options, listener) => (await listen(listener, options)).url,
    "https.createServer": async (options, listener) => {
      const server = https.createServer({ ...options, ...(await certificate()) }, listener);
      open.add(server);
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      return `https://localhost:${(server.address() as AddressInfo).port}`;
    },
    "http2.createSecureServer": async (options, listener) => (await listenHttp2(listener, options)).url,
  };

  const body = async (url: string, path = "/") => (await ask1(url, path)).body;

  /** The request and response of a server with the options, before the app handles them. */
  function made(app: Express, req: object, res: object): boolean[] {
    return [Object.getPrototypeOf(req) === app.request, Object.getPrototypeOf(res) === app.response];
  }

  /** Methods that a program adds. */
  interface Extended {
    whoami?(): string;
    tell(what: string): void;
  }
  const extend = (target: object, methods: Partial<Extended> & ThisType<Request & Response>) =>
    void Object.assign(target, methods);
  const tell = (res: Response, what: string) => (res as unknown as Extended).tell(what);
  const whoami = (req: Request) => (req as unknown as Extended).whoami?.() ?? "nobody";

  describe.each(expressVersions)("%s", (_version, express) => {
    it.each(
      Object.keys(makers),
    )("%s makes requests and responses with the app's prototypes and Node's classes", async (maker) => {
      const app = express();
      const seen: unknown[] = [];
      app.get("/", (req, res) => {
        seen.push(req instanceof http.IncomingMessage, res instanceof http.ServerResponse);
        seen.push(req.constructor === http.IncomingMessage, res.constructor === http.ServerResponse);
        seen.push(req.res === res, res.req === req, req.app === app, res.app === app);
        res.json([req.hostname, req.protocol, req.ip?.replace("::ffff:", ""), req.get("x-y"), req.path]);
      });
      const url = await makers[maker]!(expressServerOptions(app), (req, res) => {
        seen.push(...made(app, req, res));
        app(req, res);
      });
      const answer = await ask1(url, "/?q=1", { headers: { "x-y": "z", host: "app.example" } });
      const protocol = maker === "http.createServer" ? "http" : "https";
      expect(JSON.parse(answer.body)).toEqual(["app.example", protocol, "127.0.0.1", "z", "/"]);
      expect(seen).toEqual(Array(10).fill(true));
    });

    it("properties added to app.request and app.response, before or later, are seen", async () => {
      const app = express();
      extend(app.response, {
        tell(what) {
          this.send(`told: ${what}`);
        },
      });
      app.get("/", (req, res) => tell(res, whoami(req)));
      const url = await makers["http.createServer"]!(expressServerOptions(app), app);
      expect(await body(url)).toBe("told: nobody");
      extend(app.request, { whoami: () => "somebody" });
      Object.defineProperty(app.request, "hostname", { get: () => "everywhere" });
      extend(app.response, {
        tell(what) {
          this.send(`${what}, ${this.req.hostname}`);
        },
      });
      expect(await body(url)).toBe("somebody, everywhere");
    });

    it("an object that replaces app.request is used by Express as before", async () => {
      const app = express();
      app.get("/", (req, res) => void res.send(whoami(req)));
      const url = await makers["http.createServer"]!(expressServerOptions(app), app);
      app.request = Object.create(app.request, { whoami: { value: () => "another" } });
      expect(await body(url)).toBe("another");
    });

    describe("mounted apps", () => {
      /** An app in an app in an app; each adds its name, on the way in and on the way out. */
      function nest() {
        const apps = { outer: express(), middle: express(), inner: express() };
        for (const [name, app] of Object.entries(apps)) {
          app.set("env", "test");
          extend(app.request, { whoami: () => name });
          extend(app.response, {
            tell(what) {
              this.send(`${name}: ${what}`);
            },
          });
        }
        const note = (req: Request, _res: Response, next: (error?: unknown) => void) => {
          const [name] = Object.entries(apps).find(([, app]) => req.app === app)!;
          const isItsOwn = Object.getPrototypeOf(req) === apps[name as "inner"].request;
          const trail = (req as { trail?: string[] }).trail ?? [];
          Object.assign(req, { trail: [...trail, isItsOwn ? whoami(req) : `${name} is ${whoami(req)}`] });
          next();
        };
        const { outer, middle, inner } = apps;
        const end = (req: Request, res: Response) =>
          tell(res, ((req as { trail?: string[] }).trail ?? []).join());
        inner.use(note);
        inner.get("/fail", () => {
          throw new Error("inside");
        });
        inner.get("/end", end);
        middle.use(note).use("/inner", inner).use(note);
        outer
          .use(note)
          .use("/middle", middle)
          .use(note, end)
          .use(((_error, req, res, _next) =>
            note(req, res, () => end(req, res))) as express5.ErrorRequestHandler);
        return apps;
      }

      it.each([
        ["/middle/inner/end", "inner: outer,middle,inner"],
        ["/middle/inner/on", "outer: outer,middle,inner,middle,outer"],
        ["/middle/inner/fail", "outer: outer,middle,inner,outer"],
        ["/middle", "outer: outer,middle,middle,outer"],
        ["/", "outer: outer,outer"],
      ])("GET %s goes %s", async (path, trail) => {
        const { outer } = nest();
        const url = await makers["http.createServer"]!(expressServerOptions(outer), outer);
        for (let i = 0; i < 3; i++) expect(await body(url, path)).toBe(trail);
        expect(await body((await listen(nest().outer)).url, path)).toBe(trail); // as without the options
      });

      it("can also have a server of their own", async () => {
        const { outer, inner } = nest();
        const whole = await makers["http.createServer"]!(expressServerOptions(outer), outer);
        const alone = await makers["http.createServer"]!(expressServerOptions(inner), inner);
        for (let i = 0; i < 2; i++) {
          expect(await body(alone, "/end")).toBe("inner: inner");
          expect(await body(whole, "/middle/inner/end")).toBe("inner: outer,middle,inner");
        }
      });

      it("can be added while the server runs", async () => {
        const app = express();
        const url = await makers["http.createServer"]!(expressServerOptions(app), app);
        expect((await ask1(url, "/late")).status).toBe(404);
        const late = express();
        extend(late.request, { whoami: () => "late" });
        app.use(late.get("/late", (req, res) => void res.send(whoami(req))));
        expect(await body(url, "/late")).toBe("late");
      });
    });

    it("two apps do not interfere, nor two servers of one", async () => {
      const apps = ["one", "two"].map((name) => {
        const app = express();
        extend(app.request, { whoami: () => name });
        return app.get("/", (req, res) => void res.send(whoami(req) + (req.app === app)));
      });
      const [one, two] = apps as [Express, Express];
      const urls = await Promise.all(
        [one, two, one].map((app) => makers["http.createServer"]!(expressServerOptions(app), app)),
      );
      for (let i = 0; i < 3; i++) {
        const bodies = await Promise.all(urls.map((url) => body(url)));
        expect(bodies).toEqual(["onetrue", "twotrue", "onetrue"]);
      }
    });

    it("one app's options do not affect another app behind the same server", async () => {
      const [one, two] = [express(), express()];
      extend(two.request, { whoami: () => "two" });
      two.get("/", (req, res) => void res.send(whoami(req)));
      const url = await makers["http.createServer"]!(expressServerOptions(one), two);
      expect(await body(url)).toBe("two");
    });

    it("supertest accepts such a server, and the app alone as before", async () => {
      const app = express();
      app.post("/", express.json(), (req, res) => void res.status(201).json({ got: req.body }));
      const seen: boolean[] = [];
      const server = http.createServer(expressServerOptions(app), (req, res) => {
        seen.push(...made(app, req, res));
        app(req, res);
      });
      for (const target of [app, server, app]) {
        const answer = await request(target).post("/").send({ a: 1 }).expect(201);
        expect(answer.body).toEqual({ got: { a: 1 } });
      }
      expect(seen).toEqual([true, true]);
    });

    it("changes nothing about the app", () => {
      const app = express();
      const before = Object.getOwnPropertyDescriptors(app);
      const options = expressServerOptions(app);
      expect(Object.getOwnPropertyDescriptors(app)).toEqual(before);
      expect(expressServerOptions(app)).not.toBe(options);
    });
  });

  describe("over HTTP/2", () => {
    it("HTTP/2 requests stay Node's own, and those of HTTP/1.1 beside have the app's prototype", async () => {
      const app = express5();
      app.get("/", (_req, res) => void res.send("over HTTP/1.1"));
      const seen: unknown[] = [];
      const { url } = await listenHttp2((req: http.IncomingMessage, res: http.ServerResponse) => {
        seen.push(req.httpVersion, ...made(app, req, res), req.constructor.name, res.constructor.name);
        if (req.httpVersionMajor >= 2) res.end("over HTTP/2");
        else app(req, res);
      }, expressServerOptions(app));
      expect(await body(url)).toBe("over HTTP/1.1");
      expect(await ask(connectHttp2(url), "/")).toMatchObject({ status: 200, body: "over HTTP/2" });
      expect(seen).toEqual([
        ...["1.1", true, true, "IncomingMessage", "ServerResponse"],
        ...["2.0", false, false, "Http2ServerRequest", "Http2ServerResponse"],
      ]);
    });
  });

  describe("classes of one's own", () => {
    it("replace those of the options", async () => {
      const app = express5();
      app.get("/", (_req, res) => void res.send(String((res as { mark?: string }).mark)));
      class Marked extends http.ServerResponse {
        mark = "marked";
      }
      const options = { ...expressServerOptions(app), ServerResponse: Marked };
      expect(await body((await listen(app, options as never)).url)).toBe("marked");
    });

    it("can be derived from them", async () => {
      const app = express5();
      app.get("/", (req, res) => void res.json([(res as { mark?: string }).mark, req.hostname]));
      const { ServerResponse = http.ServerResponse } = expressServerOptions(app);
      class Marked extends ServerResponse {
        mark = "marked";
        readonly isMine = true;
      }
      const seen: boolean[] = [];
      const server = await listen(
        (req, res) => {
          seen.push(res instanceof Marked && res instanceof http.ServerResponse && res.isMine);
          app(req, res);
        },
        { ...expressServerOptions(app), ServerResponse: Marked as never },
      );
      expect(JSON.parse(await body(server.url))).toEqual(["marked", "127.0.0.1"]);
      expect(seen).toEqual([true]);
    });
  });

  describe("the constructors", () => {
    const { IncomingMessage: Req, ServerResponse: Res } = expressServerOptions(express5());

    it.each([
      ["IncomingMessage, with a socket", Req, http.IncomingMessage, new Socket()],
      ["IncomingMessage, with none", Req, http.IncomingMessage, null],
      ["ServerResponse", Res, http.ServerResponse, new http.IncomingMessage(new Socket())],
    ])("%s, called directly: the same properties as Node's", (_name, Ours, Nodes, argument) => {
      const make = (Made: unknown) => new (Made as new (argument: unknown) => object)(argument);
      expect(Reflect.ownKeys(make(Ours))).toEqual(Reflect.ownKeys(make(Nodes)));
      expect(Ours?.name).toBe(Nodes.name);
    });

    it("are left out if Node's become classes, which cannot be called", () => {
      for (const name of ["IncomingMessage", "ServerResponse"] as const) {
        const original = http[name];
        // biome-ignore lint/complexity/noStaticOnlyClass: it must be a class
        const Class = class {
          static [Symbol.hasInstance] = () => true;
        };
        try {
          Object.assign(http, { [name]: Class });
          expect(expressServerOptions(express5())).toEqual({});
        } finally {
          Object.assign(http, { [name]: original });
        }
      }
      expect(Object.keys(expressServerOptions(express5()))).toHaveLength(4);
    });
  });

  describe("what is not an Express app", () => {
    const lookalike = (request: unknown, response: unknown) =>
      Object.assign((_req: unknown, res: http.ServerResponse) => void res.end("answered"), {
        request,
        response,
        handle() {},
      });

    it.each<[string, unknown]>([
      ["nothing", undefined],
      ["null", null],
      ["a string", "app"],
      ["a number", 1],
      ["a symbol", Symbol("app")],
      ["an object", {}],
      ["an object with all that an app has", { ...lookalike(http.IncomingMessage.prototype, {}) }],
      ["a listener", () => {}],
      ["a class", class App {}],
      ["the function express itself", express5],
      ["a router", express5.Router()],
      ["a server", http.createServer()],
      ["an app of connect", Object.assign(() => {}, { handle() {}, stack: [], route: "/" })],
      ["no prototypes", lookalike(null, null)],
      ["prototypes that are not Node's", lookalike({}, {})],
      ["a response that is none", lookalike(http.IncomingMessage.prototype, http.IncomingMessage.prototype)],
    ])("%s is refused", (_what, value) => {
      let thrown: unknown;
      try {
        expressServerOptions(value);
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toBeInstanceOf(ConfigError);
      expect(thrown).toBeInstanceOf(TypeError);
      expect((thrown as ConfigError).problems).toEqual([
        {
          option: "app",
          value,
          reason: expect.stringContaining("must be the app that express() returned"),
          code: "ERR_PORTICO_INVALID_OPTION",
        },
      ]);
      expect((thrown as ConfigError).message).toContain("expressServerOptions()");
    });

    it("is served as a plain listener, even if it looks like an app", async () => {
      const { port } = await begin("http", {}, lookalike({}, {}) as never);
      expect(await body(`http://127.0.0.1:${port}`)).toBe("answered");
    });
  });

  inSoak(() =>
    it.each(
      oneIn(2, ["express", "express4"]),
    )("V8 keeps requests and responses of %s in fast mode", async (name) => {
      const program = start("fast-mode.mjs", [name], ["--allow-natives-syntax"]);
      expect(await program.saying("fast")).toEqual({ inHandler: [true, true], afterwards: [true, true] });
      expect(await program.exit).toBe(0);
    }),
  );
});

describe("over the wire", () => {
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
      app.use(
        express.static(join(__dirname, "fixtures", "public"), { lastModified: false }) as RequestHandler,
      );
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
      const [one, other] = await Promise.all([
        raw(with_.port, parts, 2_000),
        raw(without.port, parts, 2_000),
      ]);
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
});
