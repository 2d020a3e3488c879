import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import express, { type Response } from "express";
import request from "supertest";
import { allowedHosts } from "../../src/allowed-hosts/index.js";
import { authenticate, authorize, bearer, requireScopes } from "../../src/auth/index.js";
import { bodyLimit } from "../../src/body-limit/index.js";
import { chain } from "../../src/chain/index.js";
import { contextOf, requestContext } from "../../src/context/index.js";
import { cspReports } from "../../src/csp-reports/index.js";
import { csrf } from "../../src/csrf/index.js";
import { ConfigError } from "../../src/lib/config/config-error.js";
import type { RenderProblem } from "../../src/lib/http/problem.js";
import { notFound } from "../../src/not-found.js";
import { portico } from "../../src/portico.js";
import { recover } from "../../src/recover/index.js";
import { requestLog } from "../../src/request-log/index.js";
import { type Served, serve } from "../../src/serve/index.js";
import { timeout } from "../../src/timeout/index.js";
import { memoryStream } from "../request-log/memory.js";
import { certificate } from "../support/certificate.js";
import { ask, closeHttp2, connectHttp2 } from "../support/http2.js";
import { memoryLogger } from "../support/logger.js";
import { closeServers, listen, raw, until } from "../support/server.js";

afterEach(closeServers);
afterEach(closeHttp2);

/** The form that three real apps have: `{ error: { code, message, fields } }`. */
const CODES: Record<number, string> = {
  400: "BAD_REQUEST",
  401: "UNAUTHENTICATED",
  403: "FORBIDDEN",
  404: "NOT_FOUND",
  405: "METHOD_NOT_ALLOWED",
  408: "TIMEOUT",
  413: "TOO_LARGE",
  415: "UNSUPPORTED_MEDIA_TYPE",
  421: "MISDIRECTED",
  500: "INTERNAL",
  503: "UNAVAILABLE",
};

class AppError extends Error {
  readonly expose = true;
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly fields?: object,
  ) {
    super(message);
  }
}

const served: Served[] = [];
// Before that, the clients are closed.
afterEach(async () => void (await Promise.all(served.splice(0).map((one) => one.close()))));

async function serveHttp2(app: express.Express): Promise<Served> {
  const options = {
    port: 0,
    host: "localhost",
    http2: true,
    signals: [],
    drain: { idleGraceMs: 0 },
  } as const;
  const one = await serve(app, { ...options, tls: await certificate(), logger: memoryLogger() });
  served.push(one);
  return one;
}

const envelope: RenderProblem = (problem, _req, res, error) => {
  const { code = CODES[problem.status], fields } =
    error instanceof AppError ? error : ({} as Partial<AppError>);
  res.json({ error: { code, message: problem.title, ...(fields && { fields }) } });
};

function appWith(render: RenderProblem = envelope) {
  const app = express();
  app.use(requestContext({ render, check: false }));
  app.use("/csp", cspReports({ onReport: () => {} }));
  app.use("/guarded", csrf());
  app.use("/hosts", allowedHosts("a.example"));
  app.get("/slow", timeout(10), () => {});
  app.get("/boom", () => {
    throw new Error("secret");
  });
  app.post("/boom", () => {
    throw new Error("secret");
  });
  app.post("/orders", () => {
    throw new AppError(422, "INVALID", "The order is not valid.", { amount: "must be positive" });
  });
  const scheme = bearer({ verify: (token) => token === "good" && { sub: "ann" } });
  app.use("/in", authenticate(scheme));
  app.get(
    "/in/forbidden",
    authorize(() => false),
  );
  app.get("/in/scope", requireScopes("orders:write"));
  app.post("/in", (_req, res) => void res.send("x"));
  app.use("/limited", bodyLimit(4), express.text({ type: () => true }));
  app.use("/timed", bodyLimit({ limit: 1_000, timeMs: 20 }), express.text({ type: () => true }));
  app.use(notFound(), recover({ logger: memoryLogger() }));
  return app;
}

const good = { authorization: "Bearer good" };

describe("one form for every answer that refuses or fails", () => {
  it.each<[string, "get" | "post", string, Record<string, string>, number, Record<string, unknown>]>([
    ["401", "get", "/in", {}, 401, { "www-authenticate": 'Bearer realm="api"', vary: "Authorization" }],
    ["400", "get", "/in", { authorization: "Bearer a b" }, 400, { "www-authenticate": expect.anything() }],
    ["403", "get", "/in/forbidden", good, 403, {}],
    [
      "403 for a scope",
      "get",
      "/in/scope",
      good,
      403,
      { "www-authenticate": expect.stringContaining("scope") },
    ],
    ["403 of csrf", "post", "/guarded", { "sec-fetch-site": "cross-site" }, 403, {}],
    ["400 of allowedHosts", "get", "/hosts", { host: "a b" }, 400, {}],
    ["421", "get", "/hosts", { host: "b.example" }, 421, {}],
    ["404", "get", "/nowhere", {}, 404, {}],
    ["405 of notFound", "post", "/slow", {}, 405, { allow: "GET, HEAD, OPTIONS" }],
    ["405", "get", "/csp", {}, 405, { allow: "POST, OPTIONS" }],
    ["415", "post", "/csp", { "content-type": "text/csv" }, 415, {}],
    ["500", "get", "/boom", {}, 500, { connection: "close" }],
    ["503", "get", "/slow", {}, 503, {}],
  ])("a %s: %s %s", async (_what, method, path, headers, status, expected) => {
    const answer = await request(appWith())[method](path).set(headers).set("Accept", "text/html");
    expect(answer.status).toBe(status);
    expect(answer.body).toEqual({ error: { code: CODES[status], message: expect.any(String) } });
    expect(answer.headers).toMatchObject({
      "content-type": "application/json; charset=utf-8",
      "cache-control": "no-store",
      "x-request-id": expect.any(String),
      ...expected,
    });
  });

  const bodies: [
    what: string,
    path: string,
    headers: Record<string, string>,
    body: string[],
    status: number,
  ][] = [
    ["of a declared length over the limit", "/limited", { "content-length": "5" }, ["a"], 413],
    ["that turns out longer than the limit", "/limited", {}, ["abc", "de"], 413],
    ["that stalls", "/timed", {}, ["abc"], 408],
    ["of a declared length that stalls", "/timed", { "content-length": "9" }, ["abc"], 408],
  ];

  it.each(bodies)("a body %s: POST %s, over HTTP/1", async (_what, path, headers, body, status) => {
    const isChunked = headers["content-length"] === undefined;
    const head = isChunked ? "Transfer-Encoding: chunked" : `Content-Length: ${headers["content-length"]}`;
    const { port } = await listen(appWith());
    const sent = body.map((piece) => (isChunked ? `${piece.length}\r\n${piece}\r\n` : piece)).join("");
    const { text } = await raw(port, `POST ${path} HTTP/1.1\r\nHost: a\r\n${head}\r\n\r\n${sent}`);
    const [answered = "", json = ""] = text.split("\r\n\r\n");
    expect(answered).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(answered).toMatch(/\r\nConnection: close(?:\r\n|$)/i);
    expect(answered).toMatch(/\r\nCache-Control: no-store/i);
    expect(answered).toMatch(/\r\nX-Request-Id: /i);
    expect(JSON.parse(json)).toEqual({ error: { code: CODES[status], message: expect.any(String) } });
  });

  it.each(bodies)("a body %s: POST %s, over HTTP/2", async (_what, path, headers, body, status) => {
    const { url } = await serveHttp2(appWith());
    const stream = connectHttp2(url).request({ ":method": "POST", ":path": path, ...headers });
    for (const piece of body) stream.write(piece);
    const [fields] = (await once(stream, "response")) as [Record<string, unknown>];
    let text = "";
    for await (const piece of stream.setEncoding("utf8")) text += piece;
    expect(fields).toMatchObject({
      ":status": status,
      "cache-control": "no-store",
      "x-request-id": expect.any(String),
    });
    expect(fields).not.toHaveProperty("connection");
    expect(JSON.parse(text)).toEqual({ error: { code: CODES[status], message: expect.any(String) } });
  });

  it("an error's own code and fields, which render gets with it", async () => {
    const answer = await request(appWith()).post("/orders").send({ amount: -1 });
    expect(answer.status).toBe(422);
    expect(answer.body.error).toMatchObject({ code: "INVALID", fields: { amount: "must be positive" } });
  });

  it("render gets undefined for a refusal, and exactly what was thrown else", async () => {
    const seen: unknown[] = [];
    const app = appWith((problem, _req, res, error) => {
      seen.push([problem.status, problem.instance, error]);
      res.json({});
    });
    await request(app).get("/in");
    await request(app).get("/boom");
    expect(seen).toEqual([
      [401, "/in", undefined],
      [500, "/boom", expect.objectContaining({ message: "secret" })],
    ]);
  });

  it("recover's own render is used for errors, requestContext's for the rest", async () => {
    const app = express();
    app.use(requestContext({ check: false, render: (_problem, _req, res) => void res.send("context") }));
    app.get("/boom", () => {
      throw new Error("x");
    });
    app.use(notFound());
    app.use(recover({ logger: memoryLogger(), render: (_problem, _req, res) => void res.send("recover") }));
    expect((await request(app).get("/boom")).text).toBe("recover");
    expect((await request(app).get("/nowhere")).text).toBe("context");
  });

  it("portico({ render, logger }) gives them to all", async () => {
    const logger = memoryLogger();
    const { before, after } = portico({ render: envelope, logger, context: { check: false } });
    const app = express();
    app.use(before);
    app.get("/boom", () => {
      throw new Error("x");
    });
    app.use(after);
    expect((await request(app).get("/boom")).body.error.code).toBe("INTERNAL");
    expect((await request(app).get("/nowhere")).body.error.code).toBe("NOT_FOUND");
    expect(logger.entries.map(({ fields }) => [fields.path, typeof fields.error?.stack])).toEqual([
      ["/boom", "string"],
      ["/nowhere", "undefined"],
    ]);
  });

  it("portico's members keep what they have of their own", async () => {
    const mine = memoryLogger();
    const stream = memoryStream();
    const { before, after } = portico({
      render: () => {
        throw new Error("not this one");
      },
      logger: mine,
      context: { check: false, render: envelope },
      log: { stream, format: "json" },
      recover: { logger: undefined },
    });
    const app = express();
    app.use(before, () => {
      throw new Error("x");
    });
    app.use(after);
    expect((await request(app).get("/")).body.error.code).toBe("INTERNAL");
    expect(stream.lines).toHaveLength(1);
    expect(mine.entries).toHaveLength(1);
  });

  it.each([
    [() => requestContext({ render: "json" as never }), "render"],
    [() => recover({ render: {} as never }), "render"],
    [() => portico({ render: true as never, logger: {} as never }), "logger"],
    [() => portico({ render: envelope, context: false }), "render"],
  ])("wrong options are refused when it is made (%#)", (make, option) => {
    let caught: unknown;
    try {
      make();
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(ConfigError);
    expect((caught as ConfigError).problems.map((problem) => problem.option)).toContain(option);
  });

  it("a chain without Express uses it too", async () => {
    const handler = chain(
      requestContext({
        check: false,
        render: (problem, _req, res: Response) => void res.end(`mine ${problem.status}`),
      }),
    ).then((_req, _res, next) => next());
    const { port } = await listen(handler as never);
    const { text } = await raw(port, "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    expect(text).toMatch(/^HTTP\/1\.1 404 .*mine 404$/s);
  });
});

describe("a render that fails", () => {
  const FAILING: [string, RenderProblem][] = [
    [
      "throws",
      () => {
        throw new Error("no view");
      },
    ],
    ["rejects", async () => Promise.reject(new Error("no view"))],
    ["rejects later", async () => sleep(5).then(() => Promise.reject(new Error("no view")))],
    ["names a view that there is none of", (_problem, _req, res) => res.render("nowhere")],
    ["names a file that there is none of", (_problem, _req, res) => res.sendFile("/nowhere/at/all")],
    [
      "sets the headers of a body, and throws",
      (_problem, _req, res) => {
        res.set({ "Content-Length": "5", "Content-Encoding": "gzip" });
        throw new Error("no view");
      },
    ],
  ];
  it.each(
    FAILING,
  )("that %s: the status alone is sent, with its headers, for refusals and errors", async (_what, render) => {
    const app = appWith(render);
    app.set("views", "/nowhere");
    app.set("view engine", "html");
    app.engine("html", (_path, _options, done) => done(null, ""));
    const refused = await request(app).get("/in");
    expect([refused.status, refused.text, refused.headers["www-authenticate"]]).toEqual([
      401,
      "401\n",
      'Bearer realm="api"',
    ]);
    const failed = await request(app).get("/boom");
    expect([failed.status, failed.text]).toEqual([500, "500\n"]);
    const late = await request(app).get("/slow");
    expect([late.status, late.text]).toEqual([503, "503\n"]);
  });

  it("is reported by the app's logger, once, with what failed", async () => {
    const logger = memoryLogger();
    const app = express();
    app.use(
      requestContext({
        check: false,
        render: () => {
          throw new Error("no view");
        },
      }),
      authenticate(bearer({ verify: () => false })),
      recover({ logger }),
    );
    await request(app).get("/x");
    expect(logger.entries).toEqual([
      {
        level: "error",
        message: "render failed; the status alone was sent: GET /x: no view",
        fields: expect.objectContaining({
          path: "/x",
          error: expect.objectContaining({ message: "no view" }),
        }),
      },
    ]);
  });

  it.each<[string, RenderProblem]>([
    ["forgets to answer", () => {}],
    ["never ends its promise", () => new Promise(() => {})],
  ])("that %s is waited for for 5 seconds", async (_what, render) => {
    jest.useFakeTimers({ doNotFake: ["nextTick", "setImmediate", "queueMicrotask", "performance"] });
    try {
      const answer = request(appWith(render))
        .get("/in")
        .then((res) => res.text);
      for (let i = 0; i < 50; i++) await new Promise(setImmediate);
      await jest.advanceTimersByTimeAsync(4_900);
      let text: string | undefined;
      void answer.then((told) => {
        text = told;
      });
      for (let i = 0; i < 20; i++) await new Promise(setImmediate);
      expect(text).toBeUndefined();
      await jest.advanceTimersByTimeAsync(200);
      jest.useRealTimers();
      expect(await answer).toBe("401\n");
    } finally {
      jest.useRealTimers();
    }
  });
});

describe("a render that takes some time", () => {
  const later: RenderProblem = async (problem, _req, res) => {
    await sleep(10);
    res.set("X-Mine", "yes").send(`<h1>${problem.status}</h1>`);
  };

  it.each(["/in", "/boom", "/slow", "/nowhere"])("is waited for: GET %s", async (path) => {
    const answer = await request(appWith(later)).get(path);
    expect(answer.text).toBe(`<h1>${answer.status}</h1>`);
    expect(answer.headers["x-mine"]).toBe("yes");
  });

  it("at a deadline, while nothing that the late handler does gets through", async () => {
    const app = express();
    app.use(requestContext({ check: false, render: later }), timeout(15));
    let done: () => void = () => {};
    const over = new Promise<void>((resolve) => {
      done = resolve;
    });
    app.get("/", async (req, res) => {
      const { signal } = contextOf(req);
      while (!signal.aborted) await sleep(1);
      res.status(200).set("X-Late", "yes");
      res.send("late");
      res.write("later");
      res.end("latest");
      done();
    });
    const { port } = await listen(app);
    const { text } = await raw(port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    await over;
    expect(text).toMatch(/^HTTP\/1\.1 503 .*X-Mine: yes.*<h1>503<\/h1>$/s);
    expect(text).not.toMatch(/late/i);
  });

  describe.each([1, 2])("over HTTP/%i its status stands", (version) => {
    /** Answers when it is released, as if it took longer than the deadline or the limit. */
    function heldRender() {
      let release: () => void = () => {};
      let started: () => void = () => {};
      const released = new Promise<void>((resolve) => {
        release = resolve;
      });
      const begun = new Promise<void>((resolve) => {
        started = resolve;
      });
      const seen: number[] = [];
      const render: RenderProblem = async (problem, _req, res) => {
        seen.push(problem.status);
        started();
        await released;
        res.set("X-Mine", "yes").send(`<h1>${problem.status}</h1>`);
      };
      return { render, release: () => release(), begun, seen };
    }

    async function asked(app: express.Express, path: string, headers: Record<string, string> = {}) {
      if (version === 1) {
        const answer = await request(app).get(path).set(headers);
        return { status: answer.status, body: answer.text, headers: answer.headers };
      }
      const { url } = await serveHttp2(app);
      return ask(connectHttp2(url), path, { headers });
    }

    it.each([
      ["of a refusal", "/in", 401],
      ["of an error", "/boom", 500],
      ["of a 404", "/nowhere", 404],
    ])("at a deadline: %s", async (_what, path, status) => {
      const { render, release, begun, seen } = heldRender();
      const stream = memoryStream();
      const app = express();
      let expired: () => boolean = () => false;
      app.use(requestContext({ check: false, render }), requestLog({ stream, format: "json" }), timeout(20));
      app.use((_req, _res, next) => {
        const started = performance.now();
        expired = () => performance.now() - started > 60;
        next();
      });
      app.use("/in", authenticate(bearer({ verify: () => false })));
      app.get("/boom", () => {
        throw new Error("secret");
      });
      app.use(notFound(), recover({ logger: memoryLogger() }));
      const answer = asked(app, path);
      await begun;
      await until(expired); // the deadline is long over
      release();
      expect(await answer).toMatchObject({
        status,
        body: `<h1>${status}</h1>`,
        headers: expect.objectContaining({ "x-mine": "yes" }),
      });
      expect(seen).toEqual([status]);
      await until(() => stream.entries.length === 1);
      expect(stream.entries[0]).toMatchObject({ status });
      expect(stream.entries[0]).not.toHaveProperty("timedOut");
    });
  });

  it("its status stands where a body goes over its limit meanwhile", async () => {
    let release: () => void = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const seen: number[] = [];
    const logger = memoryLogger();
    const app = express();
    app.use(
      requestContext({
        check: false,
        render: async (problem, _req, res) => {
          seen.push(problem.status);
          await released;
          res.send(`<h1>${problem.status}</h1>`);
        },
      }),
      bodyLimit({ limit: 4, timeMs: 20 }),
      ((req, _res, next) => {
        req.on("error", () => release());
        next();
      }) satisfies express.RequestHandler,
      authenticate(bearer({ verify: () => false })),
      recover({ logger }),
    );
    const { port } = await listen(app);
    const { text } = await raw(
      port,
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n",
    );
    expect(text).toMatch(/^HTTP\/1\.1 401 .*<h1>401<\/h1>/s);
    expect(text.match(/HTTP\/1\.1/g)).toHaveLength(1);
    expect(seen).toEqual([401]);
  });

  it.each<[string, RenderProblem]>([
    ["never begins", () => new Promise(() => {})],
    [
      "writes its head, and nothing more",
      (_problem, _req, res) => {
        res.writeHead(res.statusCode);
        return new Promise(() => {});
      },
    ],
  ])("one that %s does not keep the client after the deadline", async (what, render) => {
    jest.useFakeTimers({ doNotFake: ["nextTick", "setImmediate", "queueMicrotask", "performance"] });
    try {
      const app = express();
      app.use(requestContext({ check: false, render }), timeout(50));
      app.use(authenticate(bearer({ verify: () => false })), recover({ logger: memoryLogger() }));
      let text: string | undefined;
      const answer = request(app)
        .get("/")
        .then(
          (res) => `${res.status} ${res.text}`,
          (error) => error.code,
        )
        .then((got) => {
          text = got;
        });
      for (let i = 0; i < 50; i++) await new Promise(setImmediate);
      await jest.advanceTimersByTimeAsync(4_900);
      for (let i = 0; i < 20; i++) await new Promise(setImmediate);
      expect(text).toBeUndefined();
      await jest.advanceTimersByTimeAsync(200);
      jest.useRealTimers();
      await answer;
      expect(text).toBe(what === "never begins" ? "401 401\n" : "ECONNRESET");
    } finally {
      jest.useRealTimers();
    }
  });

  it("at a deadline it may send a file", async () => {
    const app = express();
    app.use(
      requestContext({
        check: false,
        render: (_problem, _req, res) => res.sendFile(require.resolve("express/package.json")),
      }),
      timeout(5),
    );
    app.get("/", () => {});
    const answer = await request(app).get("/");
    expect(answer.status).toBe(503);
    expect(answer.body.name).toBe("express");
  });

  it("to HEAD it sends no body", async () => {
    const { port } = await listen(appWith());
    const { text } = await raw(port, "HEAD /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    expect(text).toMatch(/^HTTP\/1\.1 404 /);
    expect(text).toMatch(/\r\n\r\n$/);
    expect(text).toMatch(/Content-Length: \d+/);
  });

  it.each(["/in", "/boom"])("does not wait for an upload that has stalled: POST %s", async (path) => {
    const { port } = await listen(appWith());
    const { text } = await raw(port, `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{"a`);
    expect(text).toMatch(/"error":\{"code":"(?:UNAUTHENTICATED|INTERNAL)"/);
  });

  it("is logged as any answer", async () => {
    const stream = memoryStream();
    const app = express();
    app.use(requestContext({ check: false, render: later }), requestLog({ stream, format: "json" }));
    app.use(notFound());
    await request(app).get("/x");
    expect(stream.entries).toMatchObject([{ status: 404, responseBytes: 12 }]);
  });

  it("over HTTP/2", async () => {
    for (const render of [envelope, later]) {
      const served = await serveHttp2(appWith(render));
      for (const [path, status] of [
        ["/in", 401],
        ["/slow", 503],
        ["/nowhere", 404],
        ["/boom", 500],
      ] as const) {
        const answer = await ask(connectHttp2(served.url), path);
        expect(answer.status).toBe(status);
        expect(answer.body).toMatch(render === envelope ? /"code":/ : /<h1>/);
      }
    }
  });
});
