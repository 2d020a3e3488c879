import http, { type ServerResponse } from "node:http";
import net from "node:net";
import cookieSession from "cookie-session";
import Cookies from "cookies";
import express, { type Express, type Request, type Response } from "express";
import session from "express-session";
import onHeaders from "on-headers";
import { http2ServerOptions } from "../../../src/serve/http2/bridge.js";
import { type Answer, ask, ask1, closeHttp2, connectHttp2, listenHttp2 } from "../../support/http2.js";
import { CODE, closeFrameClients, FrameClient, request, TYPE } from "../../support/http2-frames.js";
import { closeServers, listen, until } from "../../support/server.js";
import { begin, closeAll } from "../support.js";

describe("late methods", () => {
  type Call = (res: Response, req: Request) => unknown;

  /** Calls that a handler may make on a response. */
  const calls: Record<string, Call> = {
    "end()": (res) => res.end(),
    "end(body)": (res) => res.end("body"),
    "end(body, callback)": (res) => res.end("body", () => {}),
    "end(5)": (res) => res.end(5 as never),
    "end twice": (res) => res.end("body").end(),
    "write(text)": (res) => res.write("text"),
    "write(bytes, callback)": (res) => res.write(Buffer.from("bytes"), () => {}),
    "write(null)": (res) => res.write(null),
    "write, then end": (res) => [res.write("a"), res.end("b")],
    "writeHead(200)": (res) => res.writeHead(200, { "x-a": "1" }),
    "writeHead(200, list)": (res) => res.writeHead(200, ["x-a", "1"]),
    "writeHead, then end": (res) => res.writeHead(201, "reason", { "x-a": "1" }).end("body"),
    flushHeaders: (res) => res.flushHeaders(),
    _implicitHeader: (res) => (res as unknown as { _implicitHeader(): void })._implicitHeader(),
    setHeader: (res) => res.setHeader("x-a", "1"),
    "setHeader with a bad value": (res) => res.setHeader("x-a", "a\nb"),
    appendHeader: (res) => res.appendHeader("x-a", ["1", "2"]),
    setHeaders: (res) => res.setHeaders(new Map([["x-a", "1"]])),
    removeHeader: (res) => res.removeHeader("x-a"),
    getHeaders: (res) => ({ ...res.getHeaders() }),
    hasHeader: (res) => res.hasHeader("x-none"),
    writeContinue: (res) => res.writeContinue(),
    writeProcessing: (res) => res.writeProcessing(),
    writeEarlyHints: (res) => res.writeEarlyHints({ link: "</a.css>; rel=preload" }),
    addTrailers: (res) => res.addTrailers({ "x-t": "1" }),
    setTimeout: (res) => res.setTimeout(1000),
    "cork and uncork": (res) => [res.cork(), res.uncork()],
    destroy: (res) => res.destroy(),
    "destroy(error)": (res) => res.destroy(new Error("own")),
    "Express's send": (res) => res.send("body"),
    "Express's send of bytes": (res) => res.send(Buffer.from("body")),
    "Express's json": (res) => res.json({ a: 1 }),
    "Express's jsonp": (res) => res.jsonp({ a: 1 }),
    "Express's sendStatus": (res) => res.sendStatus(404),
    "Express's redirect": (res) => res.redirect("/elsewhere"),
    "Express's cookie": (res) => res.cookie("a", "1"),
    "Express's format": (res) => res.format({ json: () => res.json({}) }),
    "Express's sendFile": (res) => res.sendFile(__filename, () => {}),
    "Express's download": (res) => res.download(__filename, () => {}),
    "Express's attachment and links": (res) => res.attachment("a.txt").links({ next: "/" }).vary("Accept"),
    "the socket's destroy": (res, req) => [req.socket.destroy(), res.socket?.destroy()],
  };

  type Moment = "while 'aborted' is emitted" | "when 'close' is emitted" | "after 'close'";
  const MOMENTS: readonly Moment[] = [
    "while 'aborted' is emitted",
    "when 'close' is emitted",
    "after 'close'",
  ];

  /** The outcome of a call; of an error only the code, because the message is Node's. */
  type Outcomes = Record<string, string>;

  /** An app in which `/<call>` makes that call after its client has left, and records whether it threw. */
  function lateApp(moment: Moment) {
    const app = express();
    app.set("env", "test");
    const outcomes: Outcomes = {};
    const waiting = new Set<string>();
    app.get("/alive", (_req, res) => void res.send("alive"));
    app.use((req, res) => {
      const name = decodeURIComponent(req.path.slice(1));
      waiting.add(name);
      const run = () => {
        waiting.delete(name);
        try {
          calls[name]!(res, req);
          outcomes[name] = "returned";
        } catch (error) {
          outcomes[name] = `threw ${(error as NodeJS.ErrnoException).code}`;
        }
      };
      res.on("error", () => {});
      if (moment === "while 'aborted' is emitted") req.on("aborted", run);
      else if (moment === "when 'close' is emitted") res.on("close", run);
      else res.on("close", () => setImmediate(run));
    });
    return { app, outcomes, waiting };
  }

  afterEach(async () => {
    await Promise.all([closeFrameClients(), closeAll()]);
    await Promise.all([closeHttp2(), closeServers()]);
  });

  async function overHttp1(moment: Moment): Promise<Outcomes> {
    const { app, outcomes, waiting } = lateApp(moment);
    const { port } = await listen(app);
    for (const name of Object.keys(calls)) {
      const socket = net.connect(port, "127.0.0.1").on("error", () => {});
      socket.write(`POST /${encodeURIComponent(name)} HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf`);
      await until(() => waiting.has(name));
      socket.resetAndDestroy();
    }
    await until(() => Object.keys(outcomes).length === Object.keys(calls).length);
    return outcomes;
  }

  describe.each(MOMENTS)("a response whose HTTP/2 client has reset its stream, %s", (moment) => {
    it("throws in no method that does not throw over HTTP/1", async () => {
      const { app, outcomes, waiting } = lateApp(moment);
      const { port } = await listenHttp2(app, http2ServerOptions(app));
      const client = await FrameClient.connect(port);
      const names = Object.keys(calls);
      for (const [i, name] of names.entries()) {
        client.headers(2 * i + 1, request("POST", `/${encodeURIComponent(name)}`));
        client.data(2 * i + 1, "half");
        await until(() => waiting.has(name));
        client.reset(2 * i + 1);
      }
      await until(() => Object.keys(outcomes).length === names.length);
      const alive = 2 * names.length + 1;
      client.headers(alive, request("GET", "/alive"), { endStream: true });
      await until(() => client.hasEnded(alive));

      const reference = await overHttp1(moment);
      const worse = names.filter(
        (name) => outcomes[name] !== "returned" && outcomes[name] !== reference[name],
      );
      expect(worse.map((name) => `${name}: ${outcomes[name]}, over HTTP/1 ${reference[name]}`)).toEqual([]);
      expect(outcomes["write(null)"]).toBe("threw ERR_STREAM_NULL_VALUES");
    });
  });

  /** The response to a request whose client has left, seen when it has closed. */
  async function closedResponse(app: Express, method: string, close: (client: FrameClient) => void) {
    let seen: Response | undefined;
    let closes = 0;
    app.use((_req, res) => {
      seen = res;
      res.on("close", () => closes++);
    });
    const { port } = await listenHttp2(app, http2ServerOptions(app));
    const client = await FrameClient.connect(port);
    client.headers(1, request(method, "/"), { endStream: true });
    await until(() => seen !== undefined);
    close(client);
    await until(() => closes === 1);
    return { res: seen as unknown as Response & ServerResponse, closes: () => closes };
  }

  describe.each(["GET", "HEAD"])("a %s request whose client leaves before the answer", (method) => {
    it.each<[string, (client: FrameClient) => void]>([
      ["by RST_STREAM", (client) => client.reset(1)],
      ["by RST_STREAM with NO_ERROR", (client) => client.reset(1, CODE.noError)],
      ["by a GOAWAY with an error", (client) => client.goaway(CODE.protocolError)],
      ["by closing its connection", (client) => client.socket.destroy()],
    ])("%s has a response that is destroyed, not finished, and keeps the request's socket", async (_name, close) => {
      const { res, closes } = await closedResponse(express(), method, close);

      expect([res.destroyed, res.closed, res.writableEnded, res.writableFinished]).toEqual([
        true,
        true,
        false,
        false,
      ]);
      expect(res.socket).toBe(res.req.socket);
      expect([res.socket!.writable, res.socket!.destroyed]).toEqual([false, true]);
      const errors: unknown[] = [];
      res.write("late", (error) => errors.push((error as NodeJS.ErrnoException).code));
      await new Promise<void>((resolve) => res.end("late", resolve));
      expect(errors).toEqual(["ERR_STREAM_DESTROYED"]);
      expect([res.writableEnded, res.writableFinished, res.headersSent]).toEqual([true, false, false]);
      await new Promise((resolve) => setImmediate(resolve));
      expect(closes()).toBe(1);
    });
  });

  it("a response that has finished has no socket, as over HTTP/1", async () => {
    const app = express();
    let seen: Response | undefined;
    app.use((_req, res) => void (seen = res).send("whole"));
    const { port } = await listenHttp2(app, http2ServerOptions(app));
    const client = await FrameClient.connect(port);
    client.headers(1, request("GET", "/"), { endStream: true });
    await until(() => client.hasEnded(1) && seen!.closed);

    expect(seen!.socket).toBeNull();
    expect([seen!.writableFinished, seen!.destroyed]).toEqual([true, true]);
  });

  describe("what Node itself does on a stream whose session is ending", () => {
    const expecting = (value: string) => [["expect", value]] as const;
    const bursts: [string, (client: FrameClient) => void][] = [
      [
        "Expect: 100-continue and GOAWAY",
        (client) => {
          client.headers(1, request("POST", "/", expecting("100-continue")));
          client.goaway();
        },
      ],
      [
        "Expect: 100-continue and a GOAWAY with an error",
        (client) => {
          client.headers(1, request("POST", "/", expecting("100-continue")));
          client.goaway(CODE.protocolError);
        },
      ],
      [
        "Expect: 100-continue and RST_STREAM",
        (client) => {
          client.headers(1, request("POST", "/", expecting("100-continue")));
          client.reset(1);
        },
      ],
      [
        "another expectation and RST_STREAM",
        (client) => {
          client.headers(1, request("POST", "/", expecting("miracles")));
          client.reset(1);
        },
      ],
      [
        "CONNECT and RST_STREAM",
        (client) => {
          client.headers(1, [
            [":method", "CONNECT"],
            [":authority", "localhost:1"],
          ]);
          client.reset(1);
        },
      ],
      [
        "a request, GOAWAY with an error, and the end",
        (client) => {
          client.headers(1, request("GET", "/"), { endStream: true });
          client.goaway(CODE.internalError);
        },
      ],
      [
        "Expect: 100-continue, then the connection's end",
        (client) => {
          client.headers(1, request("POST", "/", expecting("100-continue")));
          client.socket.end();
        },
      ],
      [
        "Expect: 100-continue beside something that is no frame",
        (client) => {
          client.headers(1, request("POST", "/", expecting("100-continue")));
          client.frame(TYPE.windowUpdate, 0, 0, Buffer.alloc(4));
        },
      ],
    ];
    const apps: [string, () => Parameters<typeof begin>[2]][] = [
      [
        "an Express app",
        () => {
          const app = express();
          app.use((_req, res) => void res.send("answered"));
          return app;
        },
      ],
      ["a plain listener", () => (_req, res) => void res.end("answered")],
    ];

    describe.each(apps)("with %s", (_name, make) => {
      it.each(bursts)("%s in one burst leaves the server as it was", async (_burst, send) => {
        const { port } = await begin("http2", {}, make());
        const client = await FrameClient.connect(port);
        for (let i = 0; i < 3; i++) {
          const closing = await FrameClient.connect(port);
          closing.batch(() => send(closing));
          await closing.caughtUp();
        }
        client.headers(1, request("GET", "/"), { endStream: true });
        await until(() => client.hasEnded(1));
        expect(client.body(1)).toBe("answered");
      });
    });
  });

  describe("a plain listener", () => {
    it("may write and end after its client has left", async () => {
      const outcomes: unknown[] = [];
      let isWaiting = false;
      const { port } = await begin("http2", {}, (req, res) => {
        if (req.url === "/alive") return void res.end("alive");
        isWaiting = true;
        const late = () => {
          outcomes.push(res.write("late", (error) => outcomes.push((error as NodeJS.ErrnoException).code)));
          outcomes.push(res.end("late") === res);
        };
        if (req.url === "/aborted") req.on("aborted", late);
        else res.on("close", late);
      });
      const client = await FrameClient.connect(port);
      for (const [stream, path] of [
        [1, "/aborted"],
        [3, "/close"],
      ] as const) {
        isWaiting = false;
        client.headers(stream, request("POST", path));
        await until(() => isWaiting);
        client.reset(stream);
      }
      client.headers(5, request("GET", "/alive"), { endStream: true });
      await until(() => client.hasEnded(5) && outcomes.length === 6);
      expect(outcomes.filter((it) => typeof it === "boolean").sort()).toEqual([false, false, true, true]);
      expect(outcomes.filter((it) => typeof it === "string")).toEqual(Array(2).fill("ERR_STREAM_DESTROYED"));
    });
  });

  describe("a push", () => {
    async function pushed(settings?: [number, number][]) {
      const told: [error: unknown, pushed: boolean][] = [];
      const app = express();
      app.get("/alive", (_req, res) => void res.send("alive"));
      app.get("/", (_req, res) => {
        const push = res as unknown as {
          createPushResponse(
            headers: object,
            callback: (error: unknown, pushed?: { end(body: string): void }) => void,
          ): void;
        };
        push.createPushResponse({ ":path": "/pushed" }, (error, response) => {
          told.push([(error as NodeJS.ErrnoException | null)?.code, response !== undefined]);
          setTimeout(() => response?.end("pushed"), 20);
        });
        res.send("answered");
      });
      const { port } = await listenHttp2(app, http2ServerOptions(app));
      const client = await FrameClient.connect(port, settings);
      client.headers(1, request("GET", "/"), { endStream: true });
      await until(() => told.length === 1 && client.hasEnded(1));
      return { client, told };
    }

    it("that the client refuses is an error for its callback only", async () => {
      const { client, told } = await pushed();
      expect(told).toEqual([["ERR_HTTP2_PUSH_DISABLED", false]]);
      expect(client.status(1)).toBe(200);
    });

    it.each(
      Object.entries(CODE),
    )("that the client resets with %s affects nothing else", async (_name, code) => {
      const { client, told } = await pushed([[1, 0]]);
      expect(told).toEqual([[undefined, true]]);
      client.reset(2, code);
      client.headers(3, request("GET", "/alive"), { endStream: true });
      await until(() => client.hasEnded(3));
      expect(client.body(3)).toBe("alive");
    });
  });

  it("Express's final handler may be called when the client has left", async () => {
    const app = express();
    app.set("env", "test");
    let calls = 0;
    app.get("/alive", (_req, res) => void res.send("alive"));
    app.use((req, _res, next) => {
      const fail = () => {
        calls++;
        next(new Error("late"));
      };
      if (req.path === "/aborted") req.on("aborted", fail);
      else req.on("close", fail);
    });
    const { port } = await begin("http2", {}, app);
    const client = await FrameClient.connect(port);
    client.headers(1, request("POST", "/aborted"));
    client.headers(3, request("POST", "/close"));
    await client.caughtUp();
    client.reset(1);
    client.reset(3);
    await until(() => calls === 2);
    client.headers(5, request("GET", "/alive"), { endStream: true });
    await until(() => client.hasEnded(5));
    expect(client.body(5)).toBe("alive");
  });
});

describe("borrowed methods", () => {
  afterEach(closeHttp2);

  const onFinished = require("on-finished") as (message: object, listener: (error: unknown) => void) => void;

  type Handler = (req: Request, res: Response) => void;
  type Borrowed = Record<string, (this: unknown, ...args: unknown[]) => unknown>;

  const outgoing = http.OutgoingMessage.prototype as unknown as Borrowed;
  const server = http.ServerResponse.prototype as unknown as Borrowed;

  function appOf(handler: Handler): Express {
    const app = express();
    app.disable("x-powered-by");
    app.use(handler);
    return app;
  }

  /** The same request over HTTP/2, and over HTTP/1.1 on the same port. */
  async function both(app: Express, headers: Record<string, string> = {}): Promise<[Answer, Answer]> {
    const { url } = await listenHttp2(app, http2ServerOptions(app));
    return [await ask(connectHttp2(url), "/", { headers }), await ask1(url, "/", { headers })];
  }

  function plain({ status, headers, body }: Answer) {
    const { connection, "keep-alive": keepAlive, date, "transfer-encoding": encoding, ...rest } = headers;
    return { status, body, headers: rest };
  }

  const borrowed: Record<string, Handler> = {
    "setHeader and getHeader": (_req, res) => {
      outgoing.setHeader!.call(res, "X-A", "1");
      res.end(String(outgoing.getHeader!.call(res, "x-a")));
    },
    "setHeader of cookies": (_req, res) => {
      outgoing.setHeader!.call(res, "Set-Cookie", ["a=1", "b=2"]);
      res.end();
    },
    appendHeader: (_req, res) => {
      outgoing.appendHeader!.call(res, "Set-Cookie", "a=1");
      outgoing.appendHeader!.call(res, "Set-Cookie", "b=2");
      res.end();
    },
    setHeaders: (_req, res) => {
      outgoing.setHeaders!.call(res, new Map([["x-a", "1"]]));
      res.end();
    },
    "getHeaders, getHeaderNames, hasHeader, removeHeader": (_req, res) => {
      res.setHeader("x-a", "1").setHeader("x-b", "2");
      outgoing.removeHeader!.call(res, "x-b");
      const all = outgoing.getHeaders!.call(res) as object;
      res.end(
        JSON.stringify([all, outgoing.getHeaderNames!.call(res), outgoing.hasHeader!.call(res, "x-b")]),
      );
    },
    "writeHead, write and end": (_req, res) => {
      server.writeHead!.call(res, 201, { "x-a": "1" });
      outgoing.write!.call(res, "one ");
      outgoing.end!.call(res, "two");
    },
    flushHeaders: (_req, res) => {
      outgoing.flushHeaders!.call(res);
      res.end("body");
    },
    "setHeader when the head is sent": (_req, res) => {
      res.write("code: ");
      try {
        outgoing.setHeader!.call(res, "x-a", "1");
      } catch (error) {
        res.end((error as NodeJS.ErrnoException).code);
      }
    },
    "past what others have put on the response": (_req, res) => {
      res.setHeader = () => {
        throw new Error("not this one");
      };
      server.setHeader!.call(res, "x-a", "1");
      res.end();
    },
    "the request's setTimeout": (req, res) => {
      const same =
        (http.IncomingMessage.prototype as unknown as Borrowed).setTimeout!.call(req, 60_000) === req;
      res.end(String(same));
    },
  };

  it.each(
    Object.keys(borrowed),
  )("a method of node:http that is called on an HTTP/2 object works: %s", async (name) => {
    const [two, one] = await both(appOf(borrowed[name]!));
    expect(plain(two)).toEqual(plain(one));
  });

  describe("over HTTP/2 as over HTTP/1", () => {
    it("cookies sets its cookies, signed ones too, beside those of Express", async () => {
      const app = appOf((req, res) => {
        res.cookie("express", "0");
        const cookies = new Cookies(req, res, { keys: ["k"] });
        cookies.set("a", "1").set("b", "2", { signed: true });
        res.send(cookies.get("sent") ?? "none");
      });
      const [two, one] = await both(app, { cookie: "sent=yes" });
      expect(plain(two)).toEqual(plain(one));
      expect(two.body).toBe("yes");
      expect(two.headers["set-cookie"]).toHaveLength(4);
    });

    it("cookie-session keeps a session", async () => {
      const app = express();
      app.use(cookieSession({ name: "s", keys: ["k"] }));
      app.use((req, res) => {
        const visits = req.session as unknown as { n?: number };
        visits.n = (visits.n ?? 0) + 1;
        res.send(String(visits.n));
      });
      const { url } = await listenHttp2(app, http2ServerOptions(app));
      const client = connectHttp2(url);
      const first = await ask(client, "/");
      const cookie = first.headers["set-cookie"]!.map((it) => it.split(";")[0]).join("; ");
      expect((await ask(client, "/", { headers: { cookie } })).body).toBe("2");
      expect((await ask1(url, "/", { headers: { cookie } })).body).toBe("2");
    });

    it("express-session keeps a session", async () => {
      const app = express();
      app.use(session({ secret: "s", resave: false, saveUninitialized: true }));
      app.use((req, res) => {
        const visits = req.session as unknown as { n?: number };
        visits.n = (visits.n ?? 0) + 1;
        res.send(String(visits.n));
      });
      const { url } = await listenHttp2(app, http2ServerOptions(app));
      const client = connectHttp2(url);
      const first = await ask(client, "/");
      const cookie = first.headers["set-cookie"]![0]!.split(";")[0]!;
      expect((await ask(client, "/", { headers: { cookie } })).body).toBe("2");
    });

    it("on-headers and on-finished are called, once", async () => {
      const finished: unknown[] = [];
      const app = appOf((_req, res) => {
        onHeaders(res, () => {
          res.setHeader("x-late", "1");
        });
        onFinished(res, (error) => finished.push(error));
        res.send("body");
      });
      const [two, one] = await both(app);
      expect(plain(two)).toEqual(plain(one));
      expect(two.headers["x-late"]).toBe("1");
      await until(() => finished.length === 2);
      expect(finished).toEqual([null, null]);
    });
  });
});
