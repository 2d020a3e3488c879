import { EventEmitter } from "node:events";
import type { ErrorRequestHandler, RequestHandler } from "express";
import { createMocks } from "node-mocks-http";
import { cache, chain, compress, contextOf, cors, recover, requestLog, timeout } from "../../src/index.js";
import { text } from "../compress/support.js";
import { memoryLogger } from "../support/logger.js";
import { until } from "../support/server.js";
import { injectors, mocks, overTcp } from "./support.js";
import { CALLS, type Seen, STACKS, see } from "./table.js";

describe("mocks", () => {
  /** What a lane of the tests runs of the stacks. */
  const stacks = Object.keys(STACKS);

  /** The mock's own `res.send` and `res.json` name other types, and it sends bodies to HEAD too. */
  const WITH_BODY = new Set([
    "GET",
    "GET of a large body",
    "an answer that comes later",
    "a body in parts",
    "a stream",
  ]);

  const onServer = new Map<string, Awaited<ReturnType<typeof see>>>();

  describe.each(mocks)("an app that is given $name has the records it has on a server", (adapter) => {
    test.each(stacks)("with %s", async (stack) => {
      for (const [kind, call] of Object.entries(CALLS)) {
        const { reply, ...records } = await see(adapter, stack, call);
        const key = `${stack} | ${kind}`;
        const { reply: wanted, ...expected } = onServer.get(key) ?? (await see(overTcp, stack, call));
        onServer.set(key, { reply: wanted, ...expected });
        expect({ kind, ...records, status: reply.status }).toEqual({
          kind,
          ...expected,
          status: wanted.status,
        });
        if (WITH_BODY.has(kind)) expect({ kind, body: reply.body }).toEqual({ kind, body: wanted.body });
      }
    });
  });

  const REQUESTS = {
    GET: { method: "GET", url: "/" },
    HEAD: { method: "HEAD", url: "/" },
    POST: {
      method: "POST",
      url: "/",
      headers: { "content-type": "application/json", "content-length": "5" },
    },
    "with credentials": {
      method: "GET",
      url: "/",
      headers: { authorization: "Bearer let-me-in", "x-api-key": "a-long-random-key" },
    },
    "a preflight": {
      method: "OPTIONS",
      url: "/",
      headers: { origin: "https://app.example", "access-control-request-method": "PUT" },
    },
  } as const;

  /** Calls the handlers as Express would, on objects that Express has not seen. */
  function call(handlers: readonly (RequestHandler | ErrorRequestHandler)[], req: object, res: object): void {
    const [first, ...rest] = handlers;
    if (first === undefined) {
      (res as { end(body: string): void }).end("done");
      return;
    }
    const next = (error?: unknown) => {
      if (error) throw error;
      call(rest, req, res);
    };
    if (first.length === 4)
      (first as ErrorRequestHandler)(new Error("failed"), req as never, res as never, next);
    else (first as RequestHandler)(req as never, res as never, next);
  }

  describe.each(Object.keys(STACKS))("a unit test of %s without Express", (stack) => {
    test.each(Object.entries(REQUESTS))("%s, with node-mocks-http", (_name, options) => {
      for (const emitter of [{}, { eventEmitter: EventEmitter }]) {
        const { req, res } = createMocks(options, emitter);
        const { before, after = [] } = STACKS[stack]!();
        expect(() => call([...before, ...after], req, res)).not.toThrow();
      }
    });

    test.each(Object.entries(REQUESTS))("%s, with nearly empty objects", (_name, options) => {
      const { before, after = [] } = STACKS[stack]!();
      const res = { setHeader: () => {}, end: () => {} };
      expect(() => call([...before, ...after], { headers: {}, ...options }, res)).not.toThrow();
      const bare = { end: () => {} };
      expect(() => call([...before, ...after], {}, bare)).not.toThrow();
    });
  });

  test("a mock has no more enumerable properties than before", () => {
    const req = { method: "GET", url: "/", headers: {} };
    const res = { setHeader: () => {}, end: () => {} };
    call([cors(), requestLog({ format: () => undefined }), timeout(1_000), cache()], req, res);
    expect(Object.keys(req)).toEqual(["method", "url", "headers"]);
    expect(Object.keys(res)).toEqual(["setHeader", "end"]);
  });

  test("a record is written for a mock's own send, once, and not for its events", async () => {
    for (const emitter of [{}, { eventEmitter: EventEmitter }]) {
      const records: object[] = [];
      const { req, res } = createMocks({ method: "GET", url: "/a" }, emitter);
      requestLog({ format: (entry) => void records.push(entry) })(
        req,
        res,
        () => void res.status(201).send("made"),
      );
      await until(() => records.length > 0);
      expect(records).toEqual([expect.objectContaining({ status: 201, path: "/a" })]);
      expect(contextOf(req).signal.aborted).toBe(false);
    }
  });

  test("a body written to a mock is encoded; the mock's own send is not changed", () => {
    const long = text(5_000);
    const options = { method: "GET", url: "/", headers: { "accept-encoding": "gzip" } } as const;
    const written = createMocks(options);
    compress()(written.req, written.res, () => {
      written.res.setHeader("Content-Type", "text/plain");
      written.res.end(long);
    });
    expect(written.res.getHeader("content-encoding")).toBe("gzip");
    const sent = createMocks(options);
    compress()(sent.req, sent.res, () => void sent.res.type("text").send(long));
    expect(sent.res.getHeader("content-encoding")).toBeUndefined();
    expect(sent.res._getData()).toBe(long);
  });

  test("recover answers a mock", () => {
    const { req, res } = createMocks({ method: "GET", url: "/" });
    const handler = chain(recover({ logger: memoryLogger() })).then(() => {
      throw new Error("failed");
    });
    handler(req, res, () => {});
    expect(res.statusCode).toBe(500);
    expect(res._getData()).toContain("Internal Server Error");
  });
});

describe("inject", () => {
  const stacks = Object.keys(STACKS);

  // light-my-request changes the prototypes of all Express requests of the process, so the responses of a server are collected
  // first.

  const expected = new Map<string, Seen>();

  beforeAll(async () => {
    for (const stack of stacks) {
      for (const [kind, call] of Object.entries(CALLS)) {
        expected.set(`${stack} | ${kind}`, await see(overTcp, stack, call));
      }
    }
  });

  describe.each(injectors)("$name answers as a server does", (adapter) => {
    test.each(stacks)("with %s", async (stack) => {
      for (const [kind, call] of Object.entries(CALLS)) {
        const seen = await see(adapter, stack, call);
        expect({ kind, ...seen }).toEqual({ kind, ...expected.get(`${stack} | ${kind}`) });
      }
    });
  });
});
