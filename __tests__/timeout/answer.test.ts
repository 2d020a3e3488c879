import compression from "compression";
import type { RequestHandler } from "express";
import session from "express-session";
import request from "supertest";
import { requestContext } from "../../src/context/index.js";
import { cors } from "../../src/cors/index.js";
import { beforeHead } from "../../src/lib/response/intercept.js";
import { recover } from "../../src/recover/index.js";
import { requestLog } from "../../src/request-log/index.js";
import { securityHeaders } from "../../src/security-headers/index.js";
import { type TimeoutOptions, timeout } from "../../src/timeout/index.js";
import { expressVersions } from "../support/express.js";
import { closeServers, listen, raw } from "../support/server.js";
import { GET, never, sleep, watchProcess, watchStderr } from "./support.js";

const stderr = watchStderr();
watchProcess();
afterEach(closeServers);

describe.each(expressVersions)("on %s", (_version, express) => {
  function app(
    inner: RequestHandler[] = [never],
    options: Partial<TimeoutOptions> = {},
    outer: RequestHandler[] = [],
  ) {
    const made = express();
    for (const handler of outer) made.use(handler);
    made.use(timeout({ ms: 10, ...options }));
    for (const handler of inner) made.use(handler);
    return made;
  }

  it("a handler that has not begun in time is answered with a 503", async () => {
    const { body, headers } = await request(app()).get("/slow?x=1").expect(503);
    expect(headers["content-type"]).toBe("application/problem+json; charset=utf-8");
    expect(headers["cache-control"]).toBe("no-store");
    expect(body).toEqual({
      type: "about:blank",
      title: "Service Unavailable",
      status: 503,
      detail: "The server did not answer in time.",
      instance: "/slow",
    });
  });

  it.each([
    ["text/html", "text/html; charset=utf-8", /<p>Try &lt;later&gt;<\/p>/],
    ["text/plain", "text/plain; charset=utf-8", /\n\nTry <later>\n/],
    ["*/*", "application/problem+json; charset=utf-8", /"detail":"Try <later>"/],
  ])("the message, as %s", async (accept, type, body) => {
    const answer = await request(app([never], { status: 504, message: "Try <later>" }))
      .get("/")
      .set("Accept", accept)
      .buffer(true)
      .expect(504);
    expect(answer.headers["content-type"]).toBe(type);
    expect(answer.text).toMatch(body);
  });

  it("an answer to HEAD has no body", async () => {
    const { port } = await listen(app());
    const { text } = await raw(port, GET.replace("GET", "HEAD"));
    expect(text).toMatch(/^HTTP\/1\.1 503 .*Content-Length: \d+.*\r\n\r\n$/s);
  });

  it("a response that comes in time is not touched", async () => {
    const slow: RequestHandler = (_req, res) => void setTimeout(() => res.status(201).send("in time"), 5);
    const answer = await request(app([slow], { ms: 2_000 }, []))
      .get("/")
      .expect(201, "in time");
    expect(answer.headers["cache-control"]).toBeUndefined();
  });

  it("a response that has begun is not touched", async () => {
    const stream: RequestHandler = async (_req, res) => {
      res.write("begun ");
      await sleep(30);
      res.end("and ended");
    };
    await request(app([stream]))
      .get("/")
      .expect(200, "begun and ended");
  });

  it("the answer has the headers of outer middleware as they were, and none of inner handlers", async () => {
    const outer: RequestHandler = (_req, res, next) => {
      res.setHeader("X-Outer", "outer");
      res.setHeader("x-LIST", ["a", "b"]);
      res.append("Set-Cookie", "outer=1");
      res.append("Set-Cookie", "outer=2");
      res.setHeader("X-Removed", "still here");
      res.setHeader("x-removed-TOO", "in its own case");
      res.setHeader("X-Number", 7);
      next();
    };
    const inner: RequestHandler = (_req, res) => {
      res.status(201);
      res.statusMessage = "Mine";
      res.setHeader("X-Outer", "overwritten");
      res.appendHeader("x-list", "c");
      res.cookie("inner", "1");
      res.removeHeader("X-Removed");
      res.removeHeader("X-Removed-Too");
      res.removeHeader("Date");
      res.setHeader("X-Inner", "1");
      res.setHeader("Connection", "close");
      res.setHeader("Transfer-Encoding", "chunked");
      res.setHeader("Content-Encoding", "gzip");
      res.setHeader("ETag", '"inner"');
    };
    const { port } = await listen(app([inner], {}, [outer]));
    const { text, end } = await raw(port, GET);
    const [head = "", body = ""] = text.split("\r\n\r\n");
    const lines = head.split("\r\n");
    expect(lines[0]).toBe("HTTP/1.1 503 Service Unavailable");
    expect(
      lines.filter((line) => /^(x-|set-|date|etag|content-enc|transfer|connection)/i.test(line)).sort(),
    ).toEqual([
      expect.stringMatching(/^Date: /),
      "Set-Cookie: outer=1",
      "Set-Cookie: outer=2",
      "X-Content-Type-Options: nosniff",
      "X-Number: 7",
      "X-Outer: outer",
      "X-Powered-By: Express",
      "X-Removed: still here",
      "x-LIST: a",
      "x-LIST: b",
      "x-removed-TOO: in its own case",
    ]);
    expect(JSON.parse(body)).toMatchObject({ status: 503 });
    expect(end).toBe("quiet");
  });

  it("head hooks of outer middleware change the answer, those of inner ones do not", async () => {
    const hooked =
      (name: string): RequestHandler =>
      (_req, res, next) => {
        beforeHead(res, (at) => void at.setHeader(`X-${name}-Hook`, String(at.statusCode)), undefined);
        next();
      };
    const statusOf: RequestHandler = (_req, res, next) => {
      beforeHead(res, (at) => void (at.statusCode = 200), undefined);
      next();
    };
    for (const third of [[], [compression()]]) {
      const outer = [...third, hooked("Outer")];
      const inner = [hooked("Inner"), ...third, statusOf, cors(), never];
      const { headers } = await request(app(inner, {}, outer))
        .get("/")
        .set("Origin", "https://a.example")
        .expect(503);
      expect(headers).toMatchObject({ "x-outer-hook": "503" });
      expect(headers).not.toHaveProperty("x-inner-hook");
      expect(headers).not.toHaveProperty("access-control-allow-origin");
    }
  });

  it("the answer has CORS, security headers and the request id, and one log record", async () => {
    const lines: string[] = [];
    const made = app([compression(), never], {}, [
      requestContext(),
      requestLog({ format: "json", stream: { write: (line) => void lines.push(line) } }),
      securityHeaders(),
      cors({ origin: "https://app.example" }),
    ]);
    made.use(recover());
    const { headers, body } = await request(made).get("/").set("Origin", "https://app.example").expect(503);
    expect(headers).toMatchObject({
      "access-control-allow-origin": "https://app.example",
      vary: "Origin",
      "x-frame-options": "deny",
    });
    expect(body.requestId).toBe(headers["x-request-id"]);
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0]!)).toMatchObject({
      status: 503,
      timedOut: true,
      level: "error",
      responseBytes: Number(headers["content-length"]),
    });
    expect(JSON.parse(lines[0]!)).not.toHaveProperty("aborted");
  });

  it("the answer is not delayed by an inner session that is being saved, nor encoded by an inner compression", async () => {
    class SlowStore extends session.MemoryStore {
      override set(): void {}
      override touch(): void {}
    }
    const inner = [
      compression({ threshold: 0 }),
      session({ secret: "s", resave: true, saveUninitialized: true, store: new SlowStore() }),
      never,
    ];
    const message = "late ".repeat(1_000);
    const answer = await request(app(inner, { message })).get("/").set("Accept-Encoding", "gzip").expect(503);
    expect(answer.headers).not.toHaveProperty("content-encoding");
    expect(answer.headers).not.toHaveProperty("set-cookie");
    expect(answer.body.detail).toBe(message);
  });

  it("the answer is encoded by an outer compression", async () => {
    const message = "late ".repeat(1_000);
    const answer = await request(app([never], { message }, [compression({ threshold: 0 })]))
      .get("/")
      .set("Accept-Encoding", "gzip")
      .expect(503);
    expect(answer.headers["content-encoding"]).toBe("gzip");
    expect(answer.body.detail).toBe(message);
  });

  it.each([
    ["the outer", 10, 5_000, "outer"],
    ["the inner", 5_000, 10, "inner"],
    ["both at once", 10, 10, "outer"],
  ])("of two, the first to be due answers: %s", async (_name, outerMs, innerMs, message) => {
    const made = app([timeout({ ms: innerMs, message: "inner", idleMs: 50, totalMs: 5_000 }), never], {
      ms: outerMs,
      message: "outer",
      idleMs: 50,
      totalMs: 5_000,
    });
    const { body } = await request(made).get("/").expect(503);
    expect(body.detail).toBe(message);
  });

  it("a patch of the app that throws does not keep the client waiting", async () => {
    const broken: RequestHandler = (_req, res, next) => {
      res.end = () => {
        throw new Error("in a patch");
      };
      next();
    };
    const { port } = await listen(app([never], {}, [broken]));
    expect(await raw(port, GET, 400)).toMatchObject({ text: "", end: "reset" });
    expect(stderr.map(({ message }) => message)).toEqual(["timeout: the answer could not be sent"]);
  });
});
