import http from "node:http";
import express, { type ErrorRequestHandler, type RequestHandler } from "express";
import request from "supertest";
import { requestContext } from "../../src/context/index.js";
import { ConfigError } from "../../src/lib/config/config-error.js";
import { type RecoverOptions, recover } from "../../src/recover/index.js";
import { expressVersions } from "../support/express.js";
import { memoryLogger } from "../support/logger.js";
import { closeServers, listen, raw } from "../support/server.js";

describe("the answer", () => {
  afterEach(closeServers);

  function failing(fail: RequestHandler, options: RecoverOptions = {}, before: RequestHandler[] = []) {
    const app = express();
    for (const handler of before) app.use(handler);
    app.all("/{*path}", fail);
    app.use(recover({ logger: memoryLogger(), ...options }));
    return app;
  }

  const boom: RequestHandler = () => {
    throw new Error("secret <detail>");
  };
  const coded = (status: number, more: object = {}): RequestHandler => {
    return () => {
      throw Object.assign(new Error("told"), { status, ...more });
    };
  };

  describe("the form of the answer", () => {
    it.each([
      [undefined, "application/problem+json"],
      ["*/*", "application/problem+json"],
      ["application/problem+json", "application/problem+json"],
      ["application/json", "application/problem+json"],
      ["application/vnd.api+json, application/json;q=0.9", "application/problem+json"],
      ["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"],
      ["text/plain", "text/plain"],
      ["text/*", "text/html"],
      ["text/html;q=0.1, text/plain", "text/plain"],
      ["image/png", "application/problem+json"],
      ["nonsense", "application/problem+json"],
      [`text/html,${"a/b,".repeat(2000)}`, "application/problem+json"],
    ])("for Accept %.60s it is %s", async (accept, type) => {
      const call = request(failing(boom)).get("/");
      if (accept === undefined) call.unset("Accept");
      else call.set("Accept", accept);
      const res = await call.expect(500);
      expect(res.headers["content-type"]).toBe(`${type}; charset=utf-8`);
      expect(res.text).toContain("Internal Server Error");
    });

    it("has the members of RFC 9457, with the path but not the query, and the request's id", async () => {
      const res = await request(failing(boom, {}, [requestContext()])).get("/a/b?token=s3cret");
      expect(res.body).toEqual({
        type: "about:blank",
        title: "Internal Server Error",
        status: 500,
        instance: "/a/b",
        requestId: res.headers["x-request-id"],
        detail: expect.stringContaining("secret <detail>"),
      });
      expect(res.text).not.toContain("s3cret");
    });

    it("escapes what it shows in HTML", async () => {
      const res = await request(failing(boom)).get("/").set("Accept", "text/html");
      expect(res.text).toContain("secret &lt;detail&gt;");
      expect(res.text).not.toContain("<detail>");
    });

    it("answers HEAD with the head alone", async () => {
      const server = await listen(failing(boom));
      const { text } = await raw(server.port, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
      expect(text).toMatch(/^HTTP\/1\.1 500 /);
      expect(text).toMatch(/Content-Length: [1-9]\d*/);
      expect(text.endsWith("\r\n\r\n")).toBe(true);
    });
  });

  describe("details in the response", () => {
    const env = process.env.NODE_ENV;
    afterEach(() => {
      process.env.NODE_ENV = env;
    });

    it.each<[string, string, RequestHandler, RecoverOptions, RegExp, boolean]>([
      ["outside production, a server error's stack", "test", boom, {}, /at .*answer\.test/s, true],
      ["in production, nothing of a server error", "production", boom, {}, /could not complete/, false],
      [
        "in production, nothing of a 5xx that exposes itself",
        "production",
        coded(503, { expose: true }),
        {},
        /could not/,
        false,
      ],
      [
        "an exposed client error's message, without a stack",
        "test",
        coded(400, { expose: true }),
        {},
        /^told$/,
        true,
      ],
      [
        "in production, an exposed client error's message",
        "production",
        coded(400, { expose: true }),
        {},
        /^told$/,
        true,
      ],
      [
        "what the option expose lets through, even of a 5xx",
        "production",
        coded(503),
        { expose: () => true },
        /^told$/,
        true,
      ],
    ])("is %s", async (_name, mode, fail, options, detail, shown) => {
      process.env.NODE_ENV = mode;
      const app = failing(fail, options);
      process.env.NODE_ENV = env;
      const res = await request(app).get("/");
      expect(res.body.detail).toMatch(detail);
      expect(/told|secret/.test(res.text)).toBe(shown);
    });

    it("in production, nothing of a 4xx error without expose: true", async () => {
      process.env.NODE_ENV = "production";
      const app = failing(coded(409), { expose: () => "yes" as never });
      process.env.NODE_ENV = env;
      const res = await request(app).get("/").expect(409);
      expect(res.body).toEqual({ type: "about:blank", title: "Conflict", status: 409, instance: "/" });
    });
  });

  describe("headers", () => {
    const dirty: RequestHandler = (_req, res) => {
      res.status(201);
      res.statusMessage = "Fine";
      res.set({
        "Content-Type": "image/png",
        "Content-Length": "9999",
        "Content-Encoding": "gzip",
        "Content-Disposition": "attachment",
        "Content-Language": "de",
        "Content-Range": "bytes 0-1/2",
        "Content-Digest": "x",
        "Repr-Digest": "x",
        ETag: '"x"',
        "Last-Modified": new Date(0).toUTCString(),
        "Cache-Control": "public, max-age=3600",
        "CDN-Cache-Control": "max-age=9",
        Expires: new Date().toUTCString(),
        "Accept-Ranges": "bytes",
        Trailer: "X-Sum",
        "Transfer-Encoding": "chunked",
        Location: "/elsewhere",
      });
      throw new Error("too late");
    };
    const outer: RequestHandler = (_req, res, next) => {
      res.set({
        "Access-Control-Allow-Origin": "https://a.example",
        "Access-Control-Expose-Headers": "X-Sum",
        Vary: "Origin",
        "Strict-Transport-Security": "max-age=1",
        "Content-Security-Policy": "default-src 'self'",
        "Content-Security-Policy-Report-Only": "default-src 'none'",
        "Set-Cookie": "a=b",
        "X-Request-Id": "abc",
      });
      next();
    };

    it("that described the lost body go, the others stay", async () => {
      const res = await request(failing(dirty, {}, [outer]))
        .get("/")
        .expect(500);
      for (const name of [
        "content-encoding",
        "content-disposition",
        "content-language",
        "content-range",
        "content-digest",
      ]) {
        expect(res.headers).not.toHaveProperty(name);
      }
      for (const name of [
        "repr-digest",
        "etag",
        "last-modified",
        "cdn-cache-control",
        "expires",
        "accept-ranges",
      ]) {
        expect(res.headers).not.toHaveProperty(name);
      }
      for (const name of ["trailer", "transfer-encoding", "location"])
        expect(res.headers).not.toHaveProperty(name);
      expect(res.headers).toMatchObject({
        "access-control-allow-origin": "https://a.example",
        "access-control-expose-headers": "X-Sum",
        vary: "Origin",
        "strict-transport-security": "max-age=1",
        "content-security-policy": "default-src 'self'",
        "content-security-policy-report-only": "default-src 'none'",
        "set-cookie": ["a=b"],
        "x-request-id": "abc",
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        connection: "close",
      });
      expect(Number(res.headers["content-length"])).toBe(Buffer.byteLength(res.text));
    });

    it.each([204, 304])("of a prepared %s do not remove the body of the 500", async (status) => {
      const fail: RequestHandler = (_req, res) => {
        res.status(status);
        throw new Error("no");
      };
      const res = await request(failing(fail)).get("/").expect(500);
      expect(res.body.status).toBe(500);
    });

    it("of the error are sent if they tell the client what to do", async () => {
      const headers = {
        "www-authenticate": "Bearer",
        "Retry-After": 120,
        allow: ["GET", "HEAD"],
        "Set-Cookie": "x=y",
        "X-Other": "1",
      };
      const res = await request(failing(coded(405, { headers })))
        .get("/")
        .expect(405);
      expect(res.headers).toMatchObject({
        "www-authenticate": "Bearer",
        "retry-after": "120",
        allow: "GET, HEAD",
      });
      expect(res.headers).not.toHaveProperty("set-cookie");
      expect(res.headers).not.toHaveProperty("x-other");
    });

    it("of an HTTP client's error are another server's", async () => {
      const more = { response: {}, headers: { "WWW-Authenticate": "Basic" } };
      const res = await request(failing(coded(401, more)))
        .get("/")
        .expect(500);
      expect(res.headers).not.toHaveProperty("www-authenticate");
    });
  });

  describe("the connection", () => {
    it.each<[NonNullable<RecoverOptions["close"]> | undefined, number, string]>([
      [undefined, 500, "close"],
      [undefined, 404, "keep-alive"],
      ["server-errors", 503, "close"],
      ["server-errors", 400, "keep-alive"],
      ["always", 404, "close"],
      ["never", 500, "keep-alive"],
    ])("with close %s after a %i: %s", async (close, status, connection) => {
      const server = await listen(failing(coded(status), { close }));
      const { text, end } = await raw(server.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      expect(text).toContain(`Connection: ${connection}\r\n`);
      expect(end).toBe(connection === "close" ? "fin" : "quiet");
    });

    it("with HTTP/1.0 gets the same response", async () => {
      const server = await listen(failing(boom));
      const { text, end } = await raw(server.port, "GET / HTTP/1.0\r\n\r\n");
      expect(text).toMatch(/^HTTP\/1\.1 500 Internal Server Error\r\n/);
      expect(text).toContain("Connection: close\r\n");
      expect(end).toBe("fin");
    });
  });

  describe("render", () => {
    it("writes the answer, with status, Connection and Cache-Control set", async () => {
      const app = failing(boom, {
        render: (problem, req, res) => void res.json({ error: problem.status, at: req.path }),
      });
      const res = await request(app).get("/x").expect(500, { error: 500, at: "/x" });
      expect(res.headers).toMatchObject({ connection: "close", "cache-control": "no-store" });
    });

    it("may be asynchronous", async () => {
      const app = failing(boom, {
        render: async (problem, _req, res) => {
          await null;
          res.send(problem.title);
        },
      });
      await request(app).get("/").expect(500, "Internal Server Error");
    });

    it.each<[string, NonNullable<RecoverOptions["render"]>]>([
      [
        "throws",
        () => {
          throw new Error("render");
        },
      ],
      [
        "throws after it set headers",
        (_problem, _req, res) => {
          res.set({ "Content-Encoding": "gzip", "Content-Length": "1" });
          throw new Error("render");
        },
      ],
      [
        "rejects",
        async () => {
          throw new Error("render");
        },
      ],
    ])("that %s leaves a minimal answer", async (_name, render) => {
      const logger = memoryLogger();
      const res = await request(failing(boom, { render, logger })).get("/").expect(500, "500\n");
      expect(res.headers).not.toHaveProperty("content-encoding");
      expect(logger.entries[0]?.fields.error.message).toBe("secret <detail>");
    });

    it("that throws half-way truncates the response", async () => {
      const render: RecoverOptions["render"] = (_problem, _req, res) => {
        res.write("half");
        throw new Error("render");
      };
      const server = await listen(failing(boom, { render }));
      expect((await raw(server.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")).end).toBe("reset");
    });
  });

  it("a second error for the same request does not prevent the response to the first", async () => {
    const twice: RequestHandler = async (_req, _res, next) => {
      next(new Error("one"));
      await null;
      throw new Error("two"); // Express itself destroys the connection here
    };
    const server = await listen(failing(twice));
    const { text } = await raw(server.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(text.match(/HTTP\/1\.1/g)).toHaveLength(1);
    expect(text).toMatch(/"detail":"Error: one.*\}$/s);
  });

  it("if a hook on the head throws, the request is still answered", async () => {
    const spoil: RequestHandler = (_req, res, next) => {
      const { setHeader } = res;
      res.setHeader = function (name, value) {
        if (name.toLowerCase() === "content-type" && String(value).includes("json"))
          throw new Error("spoilt");
        return setHeader.call(this, name, value);
      };
      next();
    };
    await request(failing(boom, {}, [spoil]))
      .get("/")
      .expect(500, "500\n");
  });

  it("has the arity of an error handler, and its name", () => {
    const handler: ErrorRequestHandler = recover();
    expect(handler).toHaveLength(4);
    expect(handler.name).toBe("recover");
  });
});

describe("wrap", () => {
  const failures: [string, RequestHandler][] = [
    [
      "throws",
      () => {
        throw new Error("no");
      },
    ],
    [
      "throws undefined",
      () => {
        throw undefined;
      },
    ],
    [
      "throws 'route'",
      () => {
        throw "route";
      },
    ],
    [
      "rejects",
      async () => {
        throw new Error("no");
      },
    ],
    ["rejects with undefined", () => Promise.reject(undefined)],
    ["calls next with an error", (_req, _res, next) => next(new Error("no"))],
  ];

  describe.each(expressVersions)("recover.wrap on %s", (_version, express) => {
    it.each(failures)("answers for a handler that %s", async (_name, handler) => {
      const logger = memoryLogger();
      const app = express();
      app.use("/in", recover.wrap(handler, { logger }));
      app.use(((_err, _req, res, _next) => void res.send("outer")) as express.ErrorRequestHandler);
      const res = await request(app).get("/in/here").expect(500);
      expect(res.headers.connection).toBe("close");
      expect(res.body.instance).toBe("/in/here");
      expect(logger.entries).toHaveLength(1);
    });

    it("answers for a whole router; when the router calls next, the request goes on", async () => {
      const router = express.Router();
      router.get("/bad", () => {
        throw new Error("no");
      });
      router.get("/good", (_req, res) => void res.send("good"));
      router.get("/leave", (_req, _res, next) => next("router"));
      const app = express();
      app.use("/r", recover.wrap(router, { logger: memoryLogger() }));
      app.use((_req, res) => void res.send("went on"));
      await request(app).get("/r/bad").expect(500);
      await request(app).get("/r/good").expect(200, "good");
      await request(app).get("/r/none").expect(200, "went on");
      await request(app).get("/r/leave").expect(200, "went on");
    });
  });

  it("logs two errors of one request and answers the first", async () => {
    const logger = memoryLogger();
    const app = express();
    app.use(
      recover.wrap(
        (_req, _res, next) => {
          next(new Error("one"));
          throw new Error("two");
        },
        { logger },
      ),
    );
    const res = await request(app).get("/").expect(500);
    expect(res.body.detail).toContain("one");
    expect(logger.entries.map(({ fields, message }) => [fields.error.message, message])).toEqual([
      ["one", "request failed: GET /: one"],
      ["two", "request failed after its response had ended: GET /: two"],
    ]);
  });

  it("does not run the next handler for an error thrown after next()", async () => {
    const logger = memoryLogger();
    const app = express();
    app.use(
      recover.wrap(
        (_req, _res, next) => {
          next();
          throw new Error("after");
        },
        { logger },
      ),
    );
    app.use((_req, res) => void res.send("fine"));
    await request(app).get("/").expect(200, "fine");
    expect(logger.entries[0]?.message).toBe("request failed after its response had ended: GET /: after");
  });

  it("works without Express", async () => {
    const server = http.createServer(
      recover.wrap(
        () => {
          throw new Error("plain");
        },
        { logger: memoryLogger() },
      ) as unknown as http.RequestListener,
    );
    await request(server)
      .get("/x?y")
      .expect(500, /"instance":"\/x"/);
  });

  it("has the name recover, and the arity of a handler", () => {
    const wrapped = recover.wrap((_req, res) => void res.end());
    expect([wrapped.name, wrapped.length]).toEqual(["recover", 3]);
  });

  it.each([[undefined], [null], ["handler"], [{}]])("refuses %p as a handler", (handler) => {
    expect(() => recover.wrap(handler as never)).toThrow(ConfigError);
  });
});
