import { EventEmitter } from "node:events";
import http from "node:http";
import express, { type Request } from "express";
import fc from "fast-check";
import request from "supertest";
import { contextOf, currentContext, requestContext } from "../../src/context/index.js";
import { ConfigError } from "../../src/lib/config/config-error.js";
import { newTrace, parseTraceparent } from "../../src/lib/request/trace.js";
import { expressVersions } from "../support/express.js";
import { closeServers, listen, raw, until } from "../support/server.js";

afterEach(closeServers);

describe("the context", () => {
  const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

  function app(options?: Parameters<typeof requestContext>[0]) {
    const made = express();
    made.use(requestContext(options));
    made.get("/", (req, res) => void res.json({ id: contextOf(req).id, trace: contextOf(req).trace }));
    return made;
  }

  describe.each(expressVersions)("the request id on %s", (_version, express) => {
    it("is a new UUID, sent in the response, and the same in all handlers", async () => {
      const made = express();
      made.use(requestContext());
      made.get("/", (req, res) => void res.json([contextOf(req).id, currentContext()?.id]));
      const res = await request(made).get("/").set("X-Request-Id", "not-trusted");
      const id = res.headers["x-request-id"];
      expect(id).toMatch(UUID);
      expect(res.body).toEqual([id, id]);
    });
  });

  it.each([
    ["abc", true],
    ["a-b_c=d.e:f", true],
    ["x".repeat(128), true],
    ["x".repeat(129), false],
    ["x".repeat(10_000), false],
    ["a b", false],
    ["a,b", false],
    ["a/b", false],
    ["", false],
  ])("a trusted id %.20j is used: %p", async (sent, taken) => {
    const res = await request(app({ trustRequestId: true }))
      .get("/")
      .set("X-Request-Id", sent);
    expect(res.headers["x-request-id"] === sent).toBe(taken);
    if (!taken) expect(res.headers["x-request-id"]).toMatch(UUID);
  });

  it("two X-Request-Id headers are ignored", async () => {
    const server = await listen(app({ trustRequestId: true }));
    const { text } = await raw(
      server.port,
      "GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: a\r\nX-Request-Id: b\r\n\r\n",
      50,
    );
    expect(text).toMatch(/X-Request-Id: [0-9a-f]{8}-/);
  });

  it("calls trustRequestId for each request, and only true allows the id", async () => {
    const answers: unknown[] = [true, false, "yes", 1];
    const made = app({ trustRequestId: () => answers.shift() as boolean });
    const ids: unknown[] = [];
    for (let i = 0; i < 4; i++) {
      ids.push((await request(made).get("/").set("X-Request-Id", "mine")).headers["x-request-id"]);
    }
    expect(ids.map((id) => id === "mine")).toEqual([true, false, false, false]);
  });

  it.each([
    new Error("trust"),
    undefined,
    "route",
  ])("an error %p of trustRequestId goes to the error handler", async (thrown) => {
    const made = app({
      trustRequestId: () => {
        throw thrown;
      },
    });
    made.use(
      ((_err, _req, res, _next) => void res.status(500).send("handled")) as express.ErrorRequestHandler,
    );
    await request(made).get("/").set("X-Request-Id", "a").expect(500, "handled");
  });

  it("is kept on a second requestContext of the same request", async () => {
    const made = express();
    made.use(requestContext(), requestContext());
    made.get("/", (req, res) => void res.send(contextOf(req).id));
    const res = await request(made).get("/");
    expect(res.text).toBe(res.headers["x-request-id"]);
  });

  const HEX32 = "4bf92f3577b34da6a3ce929d0e0e4736";
  const HEX16 = "00f067aa0ba902b7";

  it.each<[string, boolean, boolean | undefined]>([
    [`00-${HEX32}-${HEX16}-01`, true, true],
    [`00-${HEX32}-${HEX16}-00`, true, false],
    [`00-${HEX32}-${HEX16}-03`, true, true],
    [`00-${HEX32}-${HEX16}-02`, true, false],
    [`cc-${HEX32}-${HEX16}-01-what-the-future-will-be-like`, true, true],
    [`cc-${HEX32}-${HEX16}-01`, true, true],
    [`00-${HEX32}-${HEX16}-01-extra`, false, undefined],
    [`cc-${HEX32}-${HEX16}-01.x`, false, undefined],
    [`ff-${HEX32}-${HEX16}-01`, false, undefined],
    [`00-${"0".repeat(32)}-${HEX16}-01`, false, undefined],
    [`00-${HEX32}-${"0".repeat(16)}-01`, false, undefined],
    [`00-${HEX32.toUpperCase()}-${HEX16}-01`, false, undefined],
    [`00-${HEX32}-${HEX16}`, false, undefined],
    [`00-${HEX32.slice(1)}-${HEX16}-01`, false, undefined],
    [`00-${HEX32}-${HEX16}-01, 00-${HEX32}-${HEX16}-01`, false, undefined],
    [`cc-${HEX32}-${HEX16}-01-${"x".repeat(10_000)}`, false, undefined],
    ["nonsense", false, undefined],
  ])("traceparent %.60s is used: %p", async (sent, used, sampled) => {
    const { trace } = (await request(app()).get("/").set("traceparent", sent)).body;
    if (used) expect(trace).toEqual({ traceId: HEX32, spanId: HEX16, sampled });
    else {
      expect(trace).toEqual({
        traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
        spanId: expect.any(String),
        sampled: false,
      });
      expect(trace.traceId).not.toBe(HEX32);
    }
  });

  describe("the signal", () => {
    function signalling(body: http.RequestListener) {
      let signal: AbortSignal | undefined;
      const made = express();
      made.use((req, res) => {
        signal = contextOf(req).signal;
        body(req, res);
      });
      return listen(made).then((server) => ({ ...server, signal: () => signal }));
    }

    it("aborts with an AbortError when the client leaves", async () => {
      const server = await signalling(() => {});
      const req = http.get(server.url).on("error", () => {});
      await until(() => server.signal() !== undefined);
      expect(server.signal()?.aborted).toBe(false);
      req.destroy();
      await until(() => server.signal()?.aborted === true);
      expect(server.signal()?.reason.name).toBe("AbortError");
    });

    it("never aborts after a complete response, not for a POST either", async () => {
      const server = await signalling((req, res) => {
        req.resume();
        req.on("end", () => res.end("fine"));
      });
      await raw(server.port, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", 40);
      await new Promise((resolve) => setImmediate(resolve));
      expect(server.signal()?.aborted).toBe(false);
    });

    it("is aborted if it is first read after the client has left", async () => {
      let late: Request | undefined;
      const made = express();
      made.use((req) => void (late = req));
      const server = await listen(made);
      const req = http.get(server.url).on("error", () => {});
      await until(() => late !== undefined);
      req.destroy();
      await until(() => late!.res!.closed);
      const { signal } = contextOf(late!);
      await until(() => signal.aborted);
    });
  });

  it("contextOf works, and never throws, without requestContext, in plain node:http too", async () => {
    const server = await listen((req, res) => {
      const context = contextOf(req);
      expect(contextOf(req)).toBe(context);
      expect(currentContext()).toBeUndefined();
      res.end(
        JSON.stringify([context.id, context.trace.traceId, context.signal.aborted, context.auth ?? null]),
      );
    });
    const res = await request(server.url).get("/");
    expect(res.headers).not.toHaveProperty("x-request-id");
    expect(JSON.parse(res.text)).toEqual([expect.stringMatching(UUID), expect.any(String), false, null]);
  });

  it("currentContext returns the right request, through promises and timers", async () => {
    const made = express();
    made.use(requestContext());
    made.get("/", async (req, res) => {
      const before = currentContext();
      await new Promise((resolve) => setTimeout(resolve, 5));
      res.json([before?.id, currentContext()?.id, contextOf(req).id]);
    });
    const answers = await Promise.all(Array.from({ length: 20 }, () => request(made).get("/")));
    for (const { body } of answers) expect(new Set(body).size).toBe(1);
    expect(new Set(answers.map(({ body }) => body[0])).size).toBe(20);
    expect(currentContext()).toBeUndefined();
  });

  it("adds no property with a common name to the request", async () => {
    const made = express();
    made.use(requestContext());
    made.get("/", (req, res) => {
      const { signal } = contextOf(req);
      res.json([signal.aborted, "id" in req, "log" in req, "user" in req, "context" in req]);
    });
    await request(made).get("/").expect([false, false, false, false, false]);
  });

  it.each<[string, unknown, RegExp]>([
    ["options", 5, /object of options/],
    ["trustRequestID", { trustRequestID: true }, /Did you mean "trustRequestId"/],
    ["trustProxy", { trustProxy: true }, /unknown option/],
    ["echo", { echo: "x" }, /options are trustRequestId, check, render/],
    ["trustRequestId", { trustRequestId: "always" }, /true, false, or a function/],
    ["trustRequestId", { trustRequestId: null }, /true, false, or a function/],
    ["check", { check: "no" }, /true or false/],
  ])("%s: %p is refused", (option, options, reason) => {
    expect(() => requestContext(options as never)).toThrow(ConfigError);
    try {
      requestContext(options as never);
    } catch (error) {
      const [problem] = (error as ConfigError).problems;
      expect(problem?.option).toBe(option);
      expect(problem?.reason).toMatch(reason);
    }
  });

  it("its name is requestContext", () => {
    expect(requestContext().name).toBe("requestContext");
  });
});

describe("the scope", () => {
  const head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n";

  it.each([
    "data",
    "readable",
    "end",
    "close",
  ])("a listener on the request's '%s' runs in its scope", async (event) => {
    const seen: unknown[] = [];
    const app = express();
    app.use(requestContext());
    app.post("/", (req, res) => {
      req.on(event, () => void seen.push(currentContext()?.id === contextOf(req).id));
      if (event !== "readable") req.resume();
      setTimeout(() => res.end(), 40);
    });
    const server = await listen(app);
    await raw(server.port, [head, "ab", "cd"], 80);
    await server.close();
    expect(seen.length).toBeGreaterThan(0);
    expect(new Set(seen)).toEqual(new Set([true]));
  });

  it.each(["finish", "close"])("a listener on the response's '%s' runs in its scope", async (event) => {
    const seen: unknown[] = [];
    const app = express();
    app.use(requestContext());
    app.use((req, res) => {
      res.on(event, () => void seen.push(currentContext()?.id === contextOf(req).id));
      res.end();
    });
    const server = await listen(app);
    await raw(server.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 40);
    await until(() => seen.length > 0);
    expect(seen).toEqual([true]);
  });

  it("listeners run in the scope too when the client leaves", async () => {
    const seen = new Map<string, boolean>();
    let id: string | undefined;
    const app = express();
    app.use(requestContext());
    app.use((req, res) => {
      ({ id } = contextOf(req));
      for (const event of ["aborted", "close"]) {
        req.on(event, () => seen.set(`req ${event}`, currentContext()?.id === id));
      }
      res.on("close", () => seen.set("res close", currentContext()?.id === id));
    });
    const server = await listen(app);
    const client = http.request(server.url, { method: "POST", headers: { "content-length": 4 } });
    client.on("error", () => {});
    client.write("ab");
    await until(() => id !== undefined);
    client.destroy();
    await until(() => seen.size === 3);
    expect([...seen.values()]).toEqual([true, true, true]);
  });

  it("emit works as before: arguments, result, errors, and an emit that other code has replaced", async () => {
    const noted: unknown[] = [];
    const app = express();
    app.use((req, _res, next) => {
      const { emit } = req;
      req.emit = function watched(this: Request, name: string, ...args: unknown[]) {
        noted.push(name);
        return emit.call(this, name, ...args);
      } as typeof req.emit;
      next();
    });
    app.use(requestContext());
    app.get("/", (req, res) => {
      const custom = Symbol("custom");
      const got: unknown[] = [];
      req.on(custom, (...args: unknown[]) => got.push(args));
      const results = [
        req.emit(custom, 1, undefined, 3),
        req.emit(custom),
        req.emit("nobody listens"),
        res.emit("nor here"),
      ];
      const thrown = [req, res].map((emitter: EventEmitter) => {
        try {
          return emitter.removeAllListeners("error").emit("error", "alone");
        } catch (error) {
          return (error as { context?: unknown }).context;
        }
      });
      res.json([results, got, thrown, noted.includes("nobody listens")]);
    });
    const server = await listen(app);
    expect(await (await fetch(server.url)).json()).toEqual([
      [true, true, false, false],
      [[1, null, 3], []],
      ["alone", "alone"],
      true,
    ]);
  });

  it("a copy of a request can emit events", async () => {
    const app = express();
    app.use(requestContext());
    app.get("/", (req, res) => {
      const results = [req, res].map((original) => {
        const copy = new EventEmitter();
        for (const key in original)
          if (key === "emit") Object.assign(copy, { [key]: original[key as "emit"] });
        let heard = 0;
        copy.on("it", () => heard++);
        return [copy.emit("it"), copy.emit("other"), heard];
      });
      res.json(results);
    });
    const server = await listen(app);
    expect(await (await fetch(server.url)).json()).toEqual([
      [true, false, 1],
      [true, false, 1],
    ]);
  });
});

describe("trace headers", () => {
  const TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736";
  const SPAN_ID = "00f067aa0ba902b7";

  it.each(["00", "cc"])("two traceparents, which Node joins, are ignored: version %s", (version) => {
    const [one, two] = [`${version}-${TRACE_ID}-${SPAN_ID}-01`, `00-${"a".repeat(32)}-${"b".repeat(16)}-01`];
    expect(parseTraceparent(`${one}, ${two}`)).toBeUndefined();
    expect(parseTraceparent(`${one}-more, ${two}`)).toBeUndefined();
  });

  describe("the traceparent for other services", () => {
    it.each([
      ["as it came", `00-${TRACE_ID}-${SPAN_ID}-01`, "01"],
      ["not sampled", `00-${TRACE_ID}-${SPAN_ID}-00`, "00"],
      ["with the flag of a random id", `00-${TRACE_ID}-${SPAN_ID}-03`, "03"],
      ["without flags that have no meaning yet", `00-${TRACE_ID}-${SPAN_ID}-fd`, "01"],
      ["in the version that is known", `cc-${TRACE_ID}-${SPAN_ID}-01-more`, "01"],
    ])("is %s", (_how, received, flags) => {
      expect(String(parseTraceparent(received))).toBe(`00-${TRACE_ID}-${SPAN_ID}-${flags}`);
    });

    it("of a new trace has the flag for a random id, and is not sampled", () => {
      const trace = newTrace();
      expect(trace.sampled).toBe(false);
      expect(`${trace}`).toBe(`00-${trace.traceId}-${trace.spanId}-02`);
      expect({ ...parseTraceparent(`${trace}`) }).toEqual({ ...trace });
    });

    it("has the ids of the one that was received; in version 00 only unknown flags differ", () => {
      const hex = (digits: number) =>
        fc
          .array(fc.constantFrom(..."0123456789abcdef"), { minLength: digits, maxLength: digits })
          .map((list) => list.join(""));
      const headers = fc.oneof(
        fc.tuple(hex(2), hex(32), hex(16), hex(2)).map((fields) => fields.join("-")),
        fc.tuple(hex(32), hex(16), hex(2)).map((fields) => `00-${fields.join("-")}`),
        fc.string(),
      );
      fc.assert(
        fc.property(headers, (header) => {
          const trace = parseTraceparent(header);
          if (trace === undefined) return;
          const sent = String(trace);
          expect({ ...parseTraceparent(sent) }).toEqual({ ...trace });
          expect(sent.slice(2, -2)).toBe(header.slice(2, 53));
          expect(Number.parseInt(sent.slice(-2), 16)).toBe(Number.parseInt(header.slice(53, 55), 16) & 3);
        }),
      );
    });
  });

  it("has no other properties", async () => {
    const app = express();
    app.use(requestContext(), (req, res) => void res.json(contextOf(req).trace));
    await request(app)
      .get("/")
      .set("traceparent", `00-${TRACE_ID}-${SPAN_ID}-01`)
      .expect({ traceId: TRACE_ID, spanId: SPAN_ID, sampled: true });
  });

  it("goes from one service to the next", async () => {
    const inner = express();
    inner.use(requestContext(), (req, res) => void res.send(String(contextOf(req).trace)));
    const { url } = await listen(inner);
    const outer = express();
    outer.use(requestContext(), async (req, res) => {
      const answer = await fetch(url, { headers: { traceparent: String(contextOf(req).trace) } });
      res.json([String(contextOf(req).trace), await answer.text()]);
    });
    const sent = `00-${TRACE_ID}-${SPAN_ID}-01`;
    await request(outer).get("/").set("traceparent", sent).expect([sent, sent]);
    const [own, next] = (await request(outer).get("/")).body as [string, string];
    expect(next).toBe(own);
    expect(own).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-02$/);
  });
});
