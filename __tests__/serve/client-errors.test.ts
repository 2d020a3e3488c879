import http2 from "node:http2";
import tls from "node:tls";
import express from "express";
import { requestContext } from "../../src/context/index.js";
import { AbortRequest, recover } from "../../src/recover/index.js";
import { closeServers, listen, until } from "../support/server.js";
import { oneIn } from "../support/soak.js";
import { begin, closeAll, type Scene, TRANSPORTS, Wire } from "./support.js";

afterEach(closeAll);

describe("client errors", () => {
  const GET = "GET /before HTTP/1.1\r\nHost: a\r\n\r\n";
  const post = (framing: string, body = "") => `POST /echo HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n${body}`;

  /** One line is logged, with these fields and the connection's peer. */
  function expectLogged(
    { log }: Scene,
    fields: object,
    message = "a request was refused before it reached the app",
  ) {
    expect(log).toEqual([
      {
        level: "warn",
        message,
        fields: { remoteAddress: "127.0.0.1", reason: expect.stringMatching(/\w/), ...fields },
      },
    ]);
  }

  describe.each(oneIn(2, TRANSPORTS))("over %s, a client error", (transport) => {
    it.each<[string, string, number, string]>([
      ["a garbage request line", "\x00\x01garbage\r\n\r\n", 400, "HPE_INVALID_METHOD"],
      ["an unknown method", "BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "HPE_INVALID_METHOD"],
      ["a target with a space in it", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "HPE_INVALID_CONSTANT"],
      ["an unknown version", "GET / HTTP/9.9\r\nHost: a\r\n\r\n", 400, "HPE_INVALID_VERSION"],
      [
        "a header without a colon",
        "GET / HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n",
        400,
        "HPE_INVALID_HEADER_TOKEN",
      ],
      [
        "a control character in a header",
        "GET / HTTP/1.1\r\nHost: a\x01b\r\n\r\n",
        400,
        "HPE_INVALID_HEADER_TOKEN",
      ],
      [
        "a head that is too long",
        `GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(70_000)}\r\n\r\n`,
        431,
        "HPE_HEADER_OVERFLOW",
      ],
      ["a length that is none", post("Content-Length: 1x", "1"), 400, "HPE_INVALID_CONTENT_LENGTH"],
      [
        "two lengths",
        post("Content-Length: 1\r\nContent-Length: 2", "12"),
        400,
        "HPE_UNEXPECTED_CONTENT_LENGTH",
      ],
      [
        "a length beside chunks",
        post("Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
        400,
        "HPE_INVALID_TRANSFER_ENCODING",
      ],
      ["no Host", "GET / HTTP/1.1\r\n\r\n", 400, "ERR_HOST_MISSING"],
      ["two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nhOST: b\r\n\r\n", 400, "ERR_HOST_REPEATED"],
      ["two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 400, "ERR_HOST_REPEATED"],
      ["no Host, but an Expect", "GET / HTTP/1.1\r\nExpect: 100-continue\r\n\r\n", 400, "ERR_HOST_MISSING"],
    ])("(%s) is answered with %#, logged once, and does not reach the app", async (_what, sent, status, code) => {
      const scene = await begin(transport);
      const client = await scene.wire();
      client.send(sent);
      await client.ended();
      const answers = client.answers().filter((one) => one.status !== 100);
      expect(answers).toEqual([
        { status, body: "", headers: expect.objectContaining({ connection: "close" }) },
      ]);
      expect(client.end).toBe("fin");
      expect(scene.seen).toEqual([]);
      expectLogged(scene, { status, code: expect.stringMatching(new RegExp(`^${code}`)) });
      expect((await (await scene.wire()).get("/next").heard("/next")).answers()[0]!.status).toBe(200);
    });

    it.each<[string, string, string]>([
      ["a bad chunk", post("Transfer-Encoding: chunked", "xyz\r\n"), "HPE_INVALID_CHUNK_SIZE"],
      ["a chunk without its end", post("Transfer-Encoding: chunked", "1\r\naXX"), "HPE_STRICT"],
    ])("%s in the body of a request under way: 400 in place of its response", async (_what, sent) => {
      const scene = await begin(transport);
      const client = await scene.wire();
      client.send(sent);
      await client.ended();
      expect(client.answers()).toEqual([
        { status: 400, body: "", headers: expect.objectContaining({ connection: "close" }) },
      ]);
      expectLogged(scene, { status: 400, code: expect.stringMatching(/^HPE_/) });
    });

    it("is answered after the responses under way", async () => {
      const scene = await begin(transport);
      const client = await scene.wire();
      client.get("/hold/1").get("/hold/2").send("garbage\r\n\r\n");
      const [one, two] = await Promise.all([scene.held("/hold/1"), scene.held("/hold/2")]);
      await until(() => scene.log.length === 1);
      client.send("more of it\r\n\r\n", GET); // neither a second client error nor a request
      two.send("two");
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(client.text).toBe("");
      one.send("one");
      expect(await client.ended()).toBe("fin");
      expect(client.answers().map(({ status, body, headers }) => [status, body, headers.connection])).toEqual(
        [
          [200, "one", "keep-alive"],
          [200, "two", "keep-alive"],
          [400, "", "close"],
        ],
      );
      expect(scene.seen).toEqual(["/hold/1", "/hold/2"]);
      expectLogged(scene, { status: 400, code: "HPE_INVALID_METHOD" });
    });

    it("may be in the body of a request that waits for its turn", async () => {
      const scene = await begin(transport);
      const client = await scene.wire();
      client.get("/hold/1").send(post("Transfer-Encoding: chunked", "nonsense\r\n"));
      const res = await scene.held("/hold/1");
      await until(() => scene.log.length === 1);
      expect(client.text).toBe("");
      res.send("one");
      expect(await client.ended()).toBe("fin");
      expect(client.answers().map(({ status, body }) => [status, body])).toEqual([
        [200, "one"],
        [400, ""],
      ]);
      expect(scene.log).toHaveLength(1);
    });

    it("in a request's body truncates its response if that has begun", async () => {
      const scene = await begin(transport);
      const client = await scene.wire();
      client.send(post("Transfer-Encoding: chunked").replace("/echo", "/stream/1"));
      await client.heard("begun;");
      client.send("nonsense\r\n");
      expect(await client.ended()).toBe("reset");
      expect(client.text).not.toContain("400");
      expect(scene.log).toHaveLength(1);
    });

    it("in a body that comes after the response does not change it", async () => {
      const scene = await begin(transport);
      const client = await scene.wire();
      client.send(post("Transfer-Encoding: chunked").replace("/echo", "/early"));
      await client.heard("/early");
      client.send("nonsense\r\n");
      await client.ended();
      expect(client.answers()[0]).toMatchObject({ status: 200, body: "/early" });
      expect(scene.log).toHaveLength(1);
    });

    it("is answered so that a client that sends on can read it", async () => {
      const scene = await begin(transport);
      const client = await scene.wire();
      client.socket.pause();
      client.send("garbage\r\n\r\n");
      for (let i = 0; i < 20; i++) {
        client.send("x".repeat(50_000));
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      client.socket.resume();
      await client.heard("400 Bad Request");
      expect(scene.log).toHaveLength(1);
    });

    it.each([
      ["in a head", "GET / HTTP/1.1\r\nHos"],
      ["in a body", post("Content-Length: 10", "12345")],
      ["after a request", "GET /hold/1 HTTP/1.1\r\nHost: a\r\n\r\n"],
      ["before anything", ""],
    ])("is not the reset of a connection %s, and that is not logged", async (_when, sent) => {
      const scene = await begin(transport);
      const { served } = scene;
      const client = await scene.wire();
      if (sent !== "") await new Promise((resolve) => client.socket.write(sent, resolve));
      await until(() => scene.seen.length === 1 || !sent.includes("\r\n\r\n"));
      await client.reset();
      await until(() => connectionsOf(served.server) === 0);
      expect(scene.log).toEqual([]);
    });

    it("is not an end in the middle of a body, and that is not logged", async () => {
      const scene = await begin(transport);
      const client = await scene.wire();
      client.send(post("Content-Length: 10", "12345"));
      await until(() => scene.seen.length === 1);
      client.socket.end();
      await until(() => connectionsOf(scene.served.server) === 0);
      expect(client.text).toBe("");
      expect(scene.log).toEqual([]);
    });

    it("in a head that ends half-way is answered, but not logged", async () => {
      const scene = await begin(transport);
      const client = await scene.wire();
      client.send("GET / HTTP/1.1\r\nHos").socket.end();
      await client.heard("400 Bad Request");
      expect(scene.log).toEqual([]);
    });
  });

  describe.each(["https", "http2"] as const)("over %s", (transport) => {
    const HANDSHAKE = "a TLS handshake failed";

    it.each<[string, string | Buffer]>([
      ["garbage", Buffer.from("00ff".repeat(50), "hex")],
      ["a plain request", GET],
    ])("%s in place of a TLS handshake ends the connection, and is logged once", async (_what, sent) => {
      const scene = await begin(transport);
      const client = await Wire.to(scene.port);
      client.socket.write(sent);
      await client.ended();
      expectLogged(scene, { code: expect.stringMatching(/^ERR_SSL_/) }, HANDSHAKE);
      expect(client.text).not.toContain("HTTP/1.1");
      await (await scene.wire()).get("/next").heard("/next");
    });

    it("a client without a common version of TLS is logged once", async () => {
      const scene = await begin(transport);
      const socket = tls.connect({
        port: scene.port,
        host: "127.0.0.1",
        rejectUnauthorized: false,
        maxVersion: "TLSv1.1",
        minVersion: "TLSv1",
        ciphers: "ALL@SECLEVEL=0",
      });
      await new Wire(socket).ended();
      expectLogged(scene, { code: expect.stringMatching(/^ERR_SSL_/) }, HANDSHAKE);
    });

    it.each([
      ["before it says anything", ""],
      ["in the middle", "160301"],
    ])("a client that leaves %s in a handshake is not logged", async (_when, hex) => {
      const scene = await begin(transport);
      const client = await Wire.to(scene.port);
      if (hex !== "") await new Promise((resolve) => client.socket.write(Buffer.from(hex, "hex"), resolve));
      client.socket.destroy();
      await until(() => connectionsOf(scene.served.server) === 0);
      expect(scene.log).toEqual([]);
    });
  });

  describe("HTTP/2", () => {
    const session = (port: number) => Wire.to(port, true, "h2");

    it("a session that does not speak HTTP/2 is ended, and logged once", async () => {
      const scene = await begin("http2");
      const client = await session(scene.port);
      client.send(GET);
      await client.ended();
      expectLogged(scene, { code: "ERR_HTTP2_ERROR" }, "an HTTP/2 session failed");
      const next = http2.connect(scene.served.url, { rejectUnauthorized: false });
      const stream = next.request({ ":path": "/next" });
      await new Promise((resolve) => stream.once("response", resolve));
      next.destroy();
    });

    it("a client that resets its connection is not logged", async () => {
      const scene = await begin("http2");
      const client = await session(scene.port);
      client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
      await client.heard("\x00\x00");
      await client.reset();
      await until(() => connectionsOf(scene.served.server) === 0);
      expect(scene.log).toEqual([]);
    });
  });

  it("the log contains nothing that a client has sent", async () => {
    const scene = await begin("http");
    const evil = 'GET /\r\n{"level":"error"}\u2028\x1b[31m HTTP/1.1\r\nHost: a\r\nX-\x1b[31m: "}\n{"\r\n\r\n';
    const client = await scene.wire();
    client.send(evil);
    await client.ended();
    expect(scene.log).toHaveLength(1);
    expect(JSON.stringify(scene.log)).not.toMatch(/31m|error|u2028/);
  });

  it("a Unix socket's client has no address", async () => {
    const path = `/tmp/portico-refused-${process.pid}.sock`;
    const { served, log } = await begin("http", { port: path, host: undefined });
    const client = await Wire.to(path);
    client.send("garbage\r\n\r\n");
    await client.heard("400");
    expect(log[0]!.fields.remoteAddress).toBe("-");
    await served.close();
  });

  describe("a listener that is a plain function", () => {
    it.each<[string, (res: import("node:http").ServerResponse) => unknown]>([
      [
        "throws",
        () => {
          throw new Error("boom");
        },
      ],
      [
        "rejects",
        async () => {
          throw new Error("boom");
        },
      ],
      [
        "throws no error",
        () => {
          throw undefined;
        },
      ],
    ])("that %s is answered with a 500; the server continues", async (_what, fail) => {
      const scene = await begin(
        "http",
        {},
        (req, res) => (req.url === "/" ? fail(res) : res.end("fine")) as undefined,
      );
      const client = await scene.wire();
      client.get("/");
      expect(await client.ended()).toBe("fin");
      expect(client.answers()).toEqual([
        expect.objectContaining({ status: 500, headers: expect.objectContaining({ connection: "close" }) }),
      ]);
      expect(scene.log).toEqual([
        {
          level: "error",
          message: "the app threw",
          fields: { error: expect.objectContaining({ type: expect.any(String) }) },
        },
      ]);
      await (await scene.wire()).get("/next").heard("fine");
    });

    it("that fails after its response has begun: the client sees that it is not complete", async () => {
      const scene = await begin("http", {}, async (_req, res) => {
        res.write("begun;");
        await new Promise((resolve) => setTimeout(resolve, 20));
        throw new Error("boom");
      });
      const client = await scene.wire();
      client.get("/", "", "1.0");
      expect(await client.ended()).toBe("reset");
      expect(client.text).toContain("begun;");
    });

    it("that fails after its response: the response does not change", async () => {
      const scene = await begin("http", {}, async (_req, res) => {
        res.end("whole");
        throw new Error("boom");
      });
      const client = await scene.wire();
      await client.get("/").heard("whole");
      await client.get("/").heard("whole");
      await until(() => scene.log.length === 2);
    });
  });

  function connectionsOf(server: unknown): number {
    return (server as { _connections: number })._connections;
  }
});

describe("pipelined requests", () => {
  afterEach(closeServers);

  const BIG = "x".repeat(4_000_000);
  const quiet = { debug() {}, info() {}, warn() {}, error() {} };

  /** `/truncate` fails once the response before it has been handed to the system, and its client has read a part of it. */
  function app() {
    const made = express();
    made.use(requestContext());
    let sent: () => void;
    const before = new Promise<void>((resolve) => {
      sent = resolve;
    });
    made.get("/big", (_req, res) => void res.on("finish", () => sent()).send(BIG));
    made.get("/truncate", async (_req, res) => {
      res.write("begun;");
      await before;
      throw new Error("boom");
    });
    made.get("/drop", async () => {
      await before;
      throw new AbortRequest();
    });
    made.use(recover({ logger: quiet }));
    return made;
  }

  async function pipeline(client: Wire, path: string) {
    client.socket.pause();
    client.send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n", `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
    const slowly = setInterval(() => {
      client.socket.resume();
      setImmediate(() => client.socket.pause());
    }, 2);
    try {
      return [await client.ended(), client.answers().map(({ status, body }) => [status, body.length])];
    } finally {
      clearInterval(slowly);
    }
  }

  const WHOLE = [200, BIG.length];

  it.each([
    "http",
    "https",
    "http2",
  ] as const)("over %s, a truncated answer takes nothing of those pipelined before it", async (transport) => {
    const scene = await begin(transport, {}, app());
    const client = await scene.wire();
    const [, answers] = await pipeline(client, "/truncate");
    expect(answers![0]).toEqual(WHOLE);
    expect(client.text).not.toMatch(/\r\n0\r\n\r\n$/); // the client sees that the second one is not complete
  });

  it("a truncated response does not affect the responses pipelined before it", async () => {
    const scene = await begin("http", {}, app());
    const [, answers] = await pipeline(await scene.wire(), "/drop");
    expect(answers).toEqual([WHOLE]);
  });

  it("without serve too", async () => {
    const { port } = await listen(app());
    const [, answers] = await pipeline(await Wire.to(port), "/truncate");
    expect(answers![0]).toEqual(WHOLE);
  });
});
