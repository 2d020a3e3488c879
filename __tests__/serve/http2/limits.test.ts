import type http from "node:http";
import type { ServerHttp2Session } from "node:http2";
import net from "node:net";
import express, { type Request, type Response } from "express";
import { contextOf, requestContext, requestLog } from "../../../src/index.js";
import { DEFAULT_LINGER_MS } from "../../../src/lib/response/early-response.js";
import { http2ServerOptions } from "../../../src/serve/http2/bridge.js";
import { closeHttp2, listenHttp2 } from "../../support/http2.js";
import {
  CODE,
  closeFrameClients,
  encodeFields,
  FrameClient,
  request,
  TYPE,
  uint32,
} from "../../support/http2-frames.js";
import { closeServers, listen, until } from "../../support/server.js";
import { oneIn } from "../../support/soak.js";
import { begin, closeAll } from "../support.js";

describe("limits", () => {
  afterEach(async () => {
    await closeFrameClients();
    await closeAll();
  });

  type Limits = Partial<Pick<http.Server, "headersTimeout" | "requestTimeout" | "keepAliveTimeout">>;

  async function limited(limits: Limits) {
    const app = express();
    app.use("/upload", (req, res) => {
      res.send("answered");
      req.resume();
    });
    app.use((_req, res) => void res.send("answered"));
    const scene = await begin("http2", {}, app);
    Object.assign(scene.served.server, limits);
    return scene;
  }

  const goawayCode = (client: FrameClient) =>
    client.received.find(({ type }) => type === TYPE.goaway)?.payload.readUInt32BE(4);

  describe("a request head that does not end", () => {
    const block = encodeFields(request("GET", "/", [["x-slow", "a"]]));
    const slow: [string, (client: FrameClient) => void][] = [
      ["HEADERS without END_HEADERS", (client) => client.frame(TYPE.headers, 1, 1, block)],
      [
        "HEADERS, and one CONTINUATION",
        (client) => {
          client.frame(TYPE.headers, 1, 1, block.subarray(0, 10));
          client.continuation(1, block.subarray(10), false);
        },
      ],
      [
        "half of a HEADERS frame",
        (client) => {
          const length = Buffer.from([0, 0, 100]);
          client.send(
            Buffer.concat([length, Buffer.from([TYPE.headers, 5]), uint32(1), block.subarray(0, 20)]),
          );
        },
      ],
    ];

    it.each(
      oneIn(2, slow),
    )("%s: the session is ended after the time that HTTP/1 has, and logged", async (_name, send) => {
      const { port, log } = await limited({ headersTimeout: 100 });
      const client = await FrameClient.connect(port);
      await client.caughtUp();
      client.isMute = true;
      send(client);
      await until(() => client.closed);
      expect(goawayCode(client)).toBe(CODE.calm);
      await until(() => log.length > 0);
      expect(log).toMatchObject([{ level: "warn", fields: { code: "ERR_HTTP_REQUEST_TIMEOUT" } }]);
    });

    it("is detected also beside other requests of the same session", async () => {
      const { port } = await limited({ headersTimeout: 100 });
      const client = await FrameClient.connect(port);
      client.headers(1, request("GET", "/"), { endStream: true });
      await until(() => client.hasEnded(1));
      client.headers(3, request("POST", "/upload"));
      await client.caughtUp();
      client.isMute = true;
      client.frame(TYPE.headers, 1, 5, block);
      await until(() => client.closed);
      expect(goawayCode(client)).toBe(CODE.calm);
    });

    it("does not end a session whose requests were refused by Node, nor one that only waits", async () => {
      const { port, served } = await limited({ headersTimeout: 100 });
      const client = await FrameClient.connect(port);
      client.headers(
        1,
        [
          [":method", "GET"],
          [":path", "/"],
        ],
        { endStream: true },
      ); // no scheme: malformed
      await until(() => client.resetCode(1) !== undefined);
      let looks = 0;
      const { server } = served;
      const headersTimeout = () => {
        looks++;
        return 100;
      };
      Object.defineProperty(server, "headersTimeout", { get: headersTimeout, configurable: true });
      await until(() => looks >= 6); // the number of checks so far
      client.headers(3, request("GET", "/"), { endStream: true });
      await until(() => client.hasEnded(3));
      expect([client.status(3), client.closed]).toEqual([200, false]);
    });
  });

  it.each(
    oneIn(2, [16, 200, 16_000]),
  )("a flood of CONTINUATION frames of %i bytes ends its session, and nothing is kept", async (size) => {
    const { port, served } = await limited({});
    const client = await FrameClient.connect(port);
    client.frame(TYPE.headers, 1, 1, encodeFields(request("GET", "/")));
    const field = encodeFields([["x-flood", "a".repeat(size)]]);
    let sent = 0;
    for (; sent < 10_000 && !client.closed; sent++) {
      client.continuation(1, field, false);
      if (sent % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => client.closed);
    expect(sent).toBeLessThan(10_000);
    const other = await FrameClient.connect(port);
    other.headers(1, request("GET", "/"), { endStream: true });
    await until(() => other.hasEnded(1));
    expect(served.server.listening).toBe(true);
  });

  it("a session whose client does not answer a PING ends; one whose client does continues", async () => {
    const app = express();
    let waiting = 0;
    app.use(() => void waiting++);
    const { port, served } = await begin("http2", {}, app);
    Object.assign(served.server, { keepAliveTimeout: 1_000 });
    const gone = await FrameClient.connect(port);
    const alive = await FrameClient.connect(port);
    for (const client of [gone, alive]) {
      client.headers(1, request("GET", "/"), { endStream: true });
      await client.caughtUp();
    }
    expect(waiting).toBe(2);
    gone.isMute = true;
    await until(() => gone.closed);
    await alive.caughtUp();
    expect(alive.closed).toBe(false);
  });

  it("answered uploads whose client does not read keep no timer each, and end when it does", async () => {
    const { port } = await limited({});
    const timers = jest.spyOn(globalThis, "setTimeout");
    const delays = () => timers.mock.calls.map(([, ms]) => ms).filter((ms) => ms! > 5); // the others are those of this test
    // The window has room for the body, but not for the frame that ends it.
    const window = "answered".length;
    const client = await FrameClient.connect(port, [
      [1, 0],
      [2, 0],
      [4, window],
    ]);
    const streams = Array.from({ length: 50 }, (_, i) => 2 * i + 1);
    for (const stream of streams) client.headers(stream, request("POST", "/upload"));
    await until(() => streams.every((stream) => client.body(stream) === "answered"));
    await until(() => delays().length >= streams.length);
    const lingered = performance.now() + DEFAULT_LINGER_MS + 50; // each upload is read for that long
    await until(() => performance.now() > lingered);
    expect(delays()).toEqual(streams.map(() => DEFAULT_LINGER_MS));
    timers.mockRestore();
    expect(streams.some((stream) => client.hasEnded(stream) || client.resetCode(stream) !== undefined)).toBe(
      false,
    );
    for (const stream of streams) client.windowUpdate(stream, 1_000);
    await until(() => streams.every((stream) => client.resetCode(stream) === CODE.noError));
    expect(streams.every((stream) => client.hasEnded(stream))).toBe(true);
  });
});

describe("ended sessions", () => {
  afterEach(async () => {
    await closeFrameClients();
    await closeAll();
  });

  async function served() {
    const app = express();
    const gone = new Set<string>();
    app.get("/events", (_req, res) => {
      res.type("text/event-stream").write("data: 0\n\n");
      const timer = setInterval(() => res.write("data: 1\n\n"), 5);
      res.on("close", () => {
        clearInterval(timer);
        gone.add("/events");
      });
    });
    app.get("/waits", (_req, res) => void res.on("close", () => gone.add("/waits")));
    app.get("/destroys", (req) => {
      (req as unknown as { stream: { session: ServerHttp2Session } }).stream.session.destroy();
    });
    app.use((_req, res) => void res.send("answered"));
    const scene = await begin("http2", {}, app);
    const sessions = new Set<ServerHttp2Session>();
    scene.served.server.on("session", (session: ServerHttp2Session) => {
      sessions.add(session);
      session.on("close", () => sessions.delete(session));
    });
    return { ...scene, sessions, gone };
  }

  const get = (path: string) => (client: FrameClient) =>
    client.headers(1, request("GET", path), { endStream: true });
  const dataOnIdle = (client: FrameClient) => client.data(9, "x");
  const goaway = (client: FrameClient) => client.goaway();
  const emptyWindow = (client: FrameClient) => client.settings([[4, 0]]);
  const dataWithinHead = (client: FrameClient) => {
    client.frame(TYPE.headers, 0, 1, Buffer.from([0x82]));
    client.data(1, "x");
  };

  const faults: Record<string, ((client: FrameClient) => void)[]> = {
    "DATA on an idle stream": [dataOnIdle],
    "DATA on an idle stream, with an event stream open": [get("/events"), dataOnIdle],
    "DATA on an idle stream, with a request that is not yet answered": [get("/waits"), dataOnIdle],
    "DATA on an idle stream, with an answer that has no room in the window": [
      emptyWindow,
      get("/"),
      dataOnIdle,
    ],
    "GOAWAY, then DATA on an idle stream, with a request that is not yet answered": [
      get("/waits"),
      goaway,
      dataOnIdle,
    ],
    "GOAWAY, then DATA on an idle stream, with an event stream open": [get("/events"), goaway, dataOnIdle],
    "DATA between HEADERS and CONTINUATION": [dataWithinHead],
  };

  describe("a session with a connection error ends by itself within seconds", () => {
    it.each(
      oneIn(2, [true, false]),
    )("with requests under way (the client then closes the connection: %p)", async (leaves) => {
      const { port, sessions, gone } = await served();
      for (const steps of Object.values(faults)) {
        const client = await FrameClient.connect(port);
        client.batch(() => {
          for (const step of steps) step(client);
        });
        await until(() => client.closed || client.received.some(({ type }) => type === TYPE.goaway));
        if (leaves) await client.close();
      }
      await until(() => sessions.size === 0);
      await until(() => gone.size === 2);
      const other = await FrameClient.connect(port);
      other.headers(1, request("GET", "/"), { endStream: true });
      await until(() => other.hasEnded(1));
      expect(other.status(1)).toBe(200);
    });
  });

  it("a closing session whose client reads late, but answers PINGs, still gets its response", async () => {
    const { port, sessions } = await served();
    const client = await FrameClient.connect(port);
    const broken = await FrameClient.connect(port);
    client.batch(() => [emptyWindow, get("/"), goaway].forEach((step) => void step(client)));
    broken.batch(() => [get("/waits"), goaway, dataOnIdle].forEach((step) => void step(broken)));
    const asked = () =>
      client.received.filter(({ type, flags }) => type === TYPE.settings && flags === 0).length;
    await until(() => asked() === 2); // the server's own, and the one that checks the client
    await broken.close();
    await until(() => sessions.size === 1);
    client.windowUpdate(1, 1_000);
    await until(() => client.hasEnded(1));
    expect([client.status(1), client.body(1), client.resetCode(1) ?? CODE.noError]).toEqual([
      200,
      "answered",
      0,
    ]);
    await until(() => client.closed);
  });

  it.each<[string, (client: FrameClient) => void]>([
    ["a GOAWAY with an error", (client) => client.goaway(CODE.internalError)],
    [
      "a GOAWAY with an error, after a request",
      (client) => [get("/waits")(client), client.goaway(CODE.internalError)],
    ],
    ["a request whose handler destroys the session", get("/destroys")],
  ])("a stream that is opened and ended in one packet with %s does not abort the process", async (_name, first) => {
    const { port, sessions } = await served();
    const client = await FrameClient.connect(port);
    client.batch(() => {
      first(client);
      client.headers(3, request("POST", "/"));
      client.data(3, "x", true);
    });
    await until(() => sessions.size === 0);
    const other = await FrameClient.connect(port);
    other.headers(1, request("GET", "/"), { endStream: true });
    await until(() => other.hasEnded(1));
    expect(other.status(1)).toBe(200);
  });
});

describe("outcomes", () => {
  afterEach(async () => {
    await closeFrameClients();
    await Promise.all([closeHttp2(), closeServers()]);
  });

  type Handler = (req: Request, res: Response) => void;
  interface Entry {
    readonly status: number;
    readonly aborted?: boolean;
  }

  function loggedApp(handler: Handler) {
    const entries: Entry[] = [];
    const app = express();
    app.use(
      requestContext(),
      requestLog({ stream: { write: (line: string) => entries.push(JSON.parse(line)) }, format: "json" }),
    );
    app.use(handler);
    return { app, entries };
  }

  const gaveUp: [string, Handler][] = [
    ["res.destroy()", (_req, res) => void res.destroy()],
    [
      "res.destroy() after the head",
      (_req, res) => {
        res.write("part");
        setImmediate(() => res.destroy());
      },
    ],
    ["res.destroy(error)", (_req, res) => void res.destroy(new Error("own"))],
    ["req.destroy()", (req) => void req.destroy()],
    ["req.socket.destroy()", (req) => void req.socket.destroy()],
  ];

  it.each(
    gaveUp,
  )("a response that the handler destroys by %s is logged as over HTTP/1", async (_name, handler) => {
    const over1 = loggedApp(handler);
    const { port: port1 } = await listen(over1.app);
    const socket = net.connect(port1, "127.0.0.1").on("error", () => {});
    socket.write("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    await until(() => over1.entries.length === 1);
    socket.destroy();

    const over2 = loggedApp(handler);
    const { port } = await listenHttp2(over2.app, http2ServerOptions(over2.app));
    const client = await FrameClient.connect(port);
    client.headers(1, request("GET", "/"), { endStream: true });
    await until(() => over2.entries.length === 1);

    const seen = ({ status, aborted }: Entry) => ({ status, aborted });
    expect(seen(over2.entries[0]!)).toEqual(seen(over1.entries[0]!));
    expect(over2.entries[0]!.aborted).toBeUndefined();
    await until(() => client.resetCode(1) !== undefined);
    expect(client.resetCode(1)).toBe(CODE.internalError);
  });

  const leaves: [string, (client: FrameClient) => void][] = [
    ["RST_STREAM", (client) => client.reset(1)],
    ["RST_STREAM with NO_ERROR", (client) => client.reset(1, CODE.noError)],
    ["a GOAWAY with an error", (client) => client.goaway(CODE.internalError)],
    ["the end of its connection", (client) => client.socket.destroy()],
  ];
  const requests: [string, boolean][] = [
    ["GET", true],
    ["HEAD", true],
    ["POST", false],
  ];

  describe.each(
    oneIn(2, requests),
  )("contextOf(req).signal of a %s request over HTTP/2", (method, endStream) => {
    async function waiting(handler: Handler = () => {}) {
      let req: Request | undefined;
      const { app, entries } = loggedApp((incoming, res) => {
        req = incoming;
        handler(incoming, res);
      });
      const { port } = await listenHttp2(app, http2ServerOptions(app));
      const client = await FrameClient.connect(port);
      client.headers(1, request(method, "/"), { endStream });
      await until(() => req !== undefined);
      return { client, entries, signal: contextOf(req!).signal };
    }

    it.each(leaves)("aborts when the client leaves by %s, and the log says so", async (_name, leave) => {
      const { client, entries, signal } = await waiting();
      expect(signal.aborted).toBe(false);
      leave(client);
      await until(() => signal.aborted && entries.length === 1);
      expect(entries[0]).toMatchObject({ status: 499, aborted: true });
    });

    it("does not abort when the response is complete", async () => {
      const { client, entries, signal } = await waiting(
        (_req, res) => void setImmediate(() => res.send("whole")),
      );
      await until(() => client.hasEnded(1));
      client.reset(1, CODE.noError);
      await client.caughtUp();
      await until(() => entries.length === 1);
      expect([signal.aborted, entries[0]!.status, entries[0]!.aborted]).toEqual([false, 200, undefined]);
    });
  });
});
