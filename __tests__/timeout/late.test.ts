import { createReadStream, type ReadStream, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import express, { type ErrorRequestHandler, type Request, type Response } from "express";
import { contextOf, requestContext } from "../../src/context/index.js";
import { AbortRequest, recover } from "../../src/recover/index.js";
import { type TimeoutOptions, timeout } from "../../src/timeout/index.js";
import { expressVersions } from "../support/express.js";
import { memoryLogger } from "../support/logger.js";
import { closeServers, listen, until } from "../support/server.js";
import { deadline, get, MS, sleep, survive, watchProcess, watchStderr } from "./support.js";

afterEach(closeServers);

describe("late answers", () => {
  const stderr = watchStderr();
  watchProcess();

  const file = join(tmpdir(), `express-portico-timeout-${process.pid}.txt`);
  beforeAll(() => writeFileSync(file, "late file ".repeat(20_000)));
  afterAll(() => rmSync(file, { force: true }));

  type Operation = (res: Response, req: Request) => unknown;

  const operations: Record<string, Operation> = {
    setHeader: (res) => res.setHeader("X-Late", "1"),
    "setHeader, chained": (res) => res.setHeader("X-Late", "1").setHeader("X-Later", "1").end(),
    setHeaders: (res) => res.setHeaders(new Map([["X-Late", "1"]])),
    removeHeader: (res) => res.removeHeader("X-Powered-By"),
    appendHeader: (res) => res.appendHeader("X-Late", "1"),
    writeHead: (res) => res.writeHead(200, { "X-Late": "1" }).end("late"),
    flushHeaders: (res) => res.flushHeaders(),
    "statusCode and statusMessage": (res) => {
      res.statusCode = 200;
      res.statusMessage = "Late";
    },
    write: (res) => expect(res.write("late")).toBe(true),
    end: (res) => expect(res.end("late")).toBe(res),
    "end twice": (res) => res.end("late").end("late"),
    cork: (res) => {
      res.cork();
      res.uncork();
    },
    writeContinue: (res) => res.writeContinue(),
    writeProcessing: (res) => res.writeProcessing(),
    writeEarlyHints: (res) => res.writeEarlyHints({ link: "</a.css>; rel=preload" }),
    addTrailers: (res) => res.addTrailers({ "X-Late": "1" }),
    destroy: (res) => res.destroy(new Error("late")),
    "req.destroy": (_res, req) => req.destroy(),
    status: (res) => res.status(200),
    send: (res) => res.send("late"),
    "send, nothing": (res) => res.send(),
    "send, Buffer": (res) => res.send(Buffer.alloc(5000, "late")),
    json: (res) => res.status(201).json({ late: true }),
    jsonp: (res) => res.jsonp({ late: true }),
    sendStatus: (res) => res.sendStatus(204),
    redirect: (res) => res.redirect("/late"),
    render: (res) => res.render("page", { late: true }),
    format: (res) => res.format({ text: () => res.send("late") }),
    "format, not acceptable": (res) => res.format({ "x/y": () => res.send("late") }),
    cookie: (res) => res.cookie("late", "1"),
    clearCookie: (res) => res.clearCookie("late"),
    "set, append, vary": (res) => res.set("X-Late", "1").append("X-Late", "2").vary("X-Late"),
    "type, links, location": (res) => res.type("text").links({ next: "/late" }).location("/late"),
    attachment: (res) => res.attachment("late.txt"),
    sendFile: (res) => res.sendFile(file),
    "sendFile, missing": (res) => res.sendFile(`${file}.missing`),
    download: (res) => res.download(file),
    "an 'error' event": (res) => res.emit("error", new Error("late")),
  };

  describe.each(expressVersions)("on %s", (_version, express) => {
    async function serve(
      operation: (res: Response, req: Request) => unknown,
      onLate?: (error: unknown) => void,
    ) {
      const state = { done: false };
      const app = express();
      app.engine("txt", (_path, _options, done) => setImmediate(done, null, "rendered late"));
      app.set("views", tmpdir()).set("view engine", "txt");
      jest
        .spyOn(app, "render")
        .mockImplementation(((_n: string, _o: object, done: (e: null, t: string) => void) =>
          setImmediate(done, null, "rendered late")) as never);
      app.get("/fine", (_req, res) => void res.send("fine"));
      app.use(timeout({ ms: MS, onLate }));
      app.get("/", (req, res, next) => {
        const run = async () => {
          await deadline(req, (r) => contextOf(r).signal);
          await operation(res, req);
          await until(() => res.closed); // the answer has gone out: once more
          await operation(res, req);
        };
        run().then(
          () => {
            state.done = true;
          },
          (error) => {
            state.done = true;
            next(error);
          },
        );
      });
      return { ...(await listen(app)), state };
    }

    it.each(
      Object.entries(operations),
    )("a late %s does no harm, not to the next request either", async (name, operation) => {
      const late: unknown[] = [];
      const server = await serve(operation, (error) => late.push(error));
      const text = await survive(server.port, () => server.state.done);
      expect(text.toLowerCase()).not.toContain("x-late");
      expect(text).not.toContain("late:");
      // Express itself raises these errors: no file, nothing acceptable, a head that was sent.
      if (!/missing|acceptable|sendFile|download/.test(name)) expect(late).toEqual([]);
    });

    it("the callbacks of a late write and end get an error", async () => {
      const errors: unknown[] = [];
      const server = await serve((res) => {
        res.write("late", (error) => errors.push(error));
        res.write("late", "utf8", (error) => errors.push(error));
        res.end(((error: unknown) => errors.push(error)) as never);
        res.end("late", "utf8", ((error: unknown) => errors.push(error)) as never);
        expect(errors.length % 4).toBe(0); // later, as Node does it
      });
      await survive(server.port, () => errors.length === 8);
      expect(errors[0]).toMatchObject({ code: "ERR_STREAM_WRITE_AFTER_END" });
    });

    it.each<[string, (res: Response, source: Readable) => unknown]>([
      ["pipe", (res, source) => source.pipe(res)],
      [
        "pipeline",
        (res, source) =>
          pipeline(source, res).then(
            () => Promise.reject(new Error("did not fail")),
            (error: NodeJS.ErrnoException) => {
              // Node 24 refuses a closed response before it touches the source, which the app must then close.
              if (error.code === "ERR_STREAM_UNABLE_TO_PIPE") source.destroy();
              else expect(error.code).toBe("ERR_STREAM_PREMATURE_CLOSE");
            },
          ),
      ],
    ])("the source of a late %s is closed", async (_how, start) => {
      const sources: ReadStream[] = [];
      const server = await serve(async (res) => {
        const source = createReadStream(file);
        sources.push(source);
        await start(res, source);
      });
      await survive(server.port, () => server.state.done);
      await until(() => sources.every(({ closed }) => closed));
      expect(sources).toHaveLength(2);
    });

    it("a pipe that was begun before and has sent nothing is closed", async () => {
      const source = new Readable({ read() {} });
      const app = express();
      app.use(timeout(MS));
      app.get("/", (_req, res) => void source.pipe(res));
      const { port } = await listen(app);
      expect(await get(port)).toMatch(/^HTTP\/1\.1 503/);
      await until(() => source.destroyed);
    });

    it("an upload that is piped back late is read and discarded", async () => {
      const app = express();
      app.use(timeout(MS));
      app.post("/", (req, res) => void contextOf(req).signal.addEventListener("abort", () => req.pipe(res)));
      app.get("/fine", (_req, res) => void res.send("fine"));
      const { port } = await listen(app);
      await survive(port, () => true, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    });

    describe("a late error", () => {
      const ways: [string, (next: (error?: unknown) => void) => void][] = [
        ["next(error)", (next) => next(new Error("late"))],
        ["next() and no handler", (next) => next()],
      ];

      async function failing(
        late: (next: (error?: unknown) => void) => void,
        setup: (app: ReturnType<typeof express>) => void,
        options = {},
      ) {
        let done = false;
        const app = express();
        app.set("env", "test");
        app.use(requestContext());
        app.get("/fine", (_req, res) => void res.send("fine"));
        app.use(timeout({ ms: MS, ...options }));
        const router = express.Router();
        router.get(
          "/",
          (req, _res, next) =>
            void deadline(req, (r) => contextOf(r).signal).then(() => {
              late(next);
              done = true;
            }),
        );
        app.use(router);
        setup(app);
        const { port } = await listen(app);
        return survive(port, () => done);
      }

      it.each(
        ways,
      )("by %s, without an error handler, goes to onLate, and the connection stays open", async (name, late) => {
        const errors: [unknown, string][] = [];
        const onLate = (error: unknown, req: Request) => void errors.push([error, req.originalUrl]);
        await failing(late, () => {}, { onLate });
        expect(errors).toEqual(name === "next(error)" ? [[new Error("late"), "/"]] : []);
        expect(stderr).toEqual([]);
      });

      it("without onLate is logged once, as a warning", async () => {
        await failing(
          (next) => next(new Error("late")),
          () => {},
        );
        expect(stderr).toHaveLength(1);
        expect(stderr[0]).toMatchObject({
          level: "warn",
          message: "request failed after it had timed out: GET /: late",
          fields: { method: "GET", path: "/", requestId: expect.any(String), error: { message: "late" } },
        });
      });

      it.each([
        [
          "throws",
          () => {
            throw new Error("in onLate");
          },
        ],
        [
          "rejects",
          async () => {
            throw new Error("in onLate");
          },
        ],
      ])("an onLate that %s is reported once", async (_how, onLate) => {
        await failing(
          (next) => next(new Error("late")),
          () => {},
          { onLate },
        );
        expect(stderr.map(({ level, message, fields }) => [level, message, fields.error.message])).toEqual([
          ["error", "timeout: onLate threw", "in onLate"],
        ]);
      });

      it.each<[string, ErrorRequestHandler]>([
        ["answers", (_error, _req, res, _next) => void res.status(500).send("handled late")],
        [
          "asks headersSent and passes it on",
          (error, _req, res, next) => (res.headersSent ? next(error) : void res.send("no")),
        ],
        ["passes it on", (error, _req, _res, next) => next(error)],
        [
          "fails itself",
          (_error, _req, _res, _next) => {
            throw new Error("late");
          },
        ],
      ])("meets an error handler that %s", async (how, handler) => {
        const errors: unknown[] = [];
        const text = await failing(
          (next) => next(new Error("late")),
          (app) => void app.use(handler),
          { onLate: (error: unknown) => errors.push(error) },
        );
        expect(text).not.toContain("handled late");
        expect(errors).toHaveLength(how === "answers" ? 0 : 1);
      });

      it("meets recover: no second answer, one report", async () => {
        const logger = memoryLogger();
        await failing(
          (next) => next(new Error("late")),
          (app) => void app.use(recover({ logger })),
        );
        expect(logger.entries.length + stderr.length).toBe(1);
      });

      it.each([
        ["the signal's reason", (reason: unknown) => reason],
        ["an AbortError because of it", (reason: unknown) => new Error("aborted", { cause: reason })],
      ])("that is %s is not logged", async (_what, errorFor) => {
        const app = express();
        app.use(timeout(MS));
        app.get("/", (req, _res, next) => {
          const { signal } = contextOf(req);
          signal.addEventListener("abort", () => next(errorFor(signal.reason)));
        });
        app.get("/fine", (_req, res) => void res.send("fine"));
        const { port } = await listen(app);
        await survive(port, () => true);
        expect(stderr).toEqual([]);
      });
    });

    it("a late error of a mounted app is caught too", async () => {
      const errors: unknown[] = [];
      const inner = express();
      inner.get(
        "/",
        (req, _res, next) =>
          void deadline(req, (r) => contextOf(r).signal).then(() => next(new Error("late"))),
      );
      const app = express();
      app.use(timeout({ ms: MS, onLate: (error) => errors.push(error) }));
      app.use(inner);
      inner.get("/fine", (_req, res) => void res.send("fine"));
      const { port } = await listen(app);
      await survive(port, () => errors.length === 1);
      expect(errors).toEqual([new Error("late")]);
    });
  });

  describe.each(
    expressVersions.filter(([name]) => name !== "Express 4"),
  )("a late rejection on %s", (_version, express) => {
    it.each([
      ["with recover", true],
      ["alone", false],
    ])("%s: one answer, one report, the connection stays open", async (_name, recovered) => {
      const errors: unknown[] = [];
      const logger = memoryLogger();
      const app = express();
      app.get("/fine", (_req, res) => void res.send("fine"));
      app.use(timeout({ ms: MS, onLate: (error) => errors.push(error) }));
      app.get("/", async () => {
        await sleep(MS + 20);
        throw new Error("late");
      });
      if (recovered) app.use(recover({ logger }));
      const { port } = await listen(app);
      await survive(port, () => errors.length + logger.entries.length > 0);
      expect(errors.length + logger.entries.length).toBe(1);
    });

    it("several deadlines of an app without recover add one error handler", async () => {
      const app = express();
      app.use(timeout(5));
      app.get("/", () => {});
      const { port } = await listen(app);
      const stack = () => (app.router as unknown as { stack: unknown[] }).stack.length;
      const before = stack();
      for (let i = 0; i < 5; i++) await get(port);
      expect(stack()).toBe(before + 1);
    });
  });

  describe.each(expressVersions)("an app of %s at its first deadline", (_version, express) => {
    type App = ReturnType<typeof express>;
    it.each<[string, number, (app: App) => void]>([
      ["gets no handler if it ends with recover", 0, (app) => void app.use(recover())],
      ["gets an error handler if it has no recover", 1, () => {}],
      ["gets one if its recover is for some paths only", 1, (app) => void app.use("/api", recover())],
      [
        "gets one if a handler follows recover",
        1,
        (app) => void app.use(recover()).use((_req, _res, next) => next()),
      ],
    ])("%s", async (_name, added, setUp) => {
      const app = express();
      app.use(timeout(5));
      app.get("/", () => {});
      setUp(app);
      const routers = app as unknown as Record<"_router" | "router", { stack: unknown[] }>;
      const { stack } = routers._router ?? routers.router; // Express 4 throws at `router`
      const before = stack.length;
      const { port } = await listen(app);
      await get(port);
      expect(stack).toHaveLength(before + added);
    });
  });
});

describe("late errors with recover", () => {
  const stderr = watchStderr();
  watchProcess();

  const places: [string, boolean][] = [
    ["recover", false],
    ["recover.wrap", true],
  ];

  describe.each(places)("a late error with %s", (_name, wraps) => {
    async function failing(errorFor: (reason: unknown) => unknown, options: Partial<TimeoutOptions> = {}) {
      const logger = memoryLogger();
      const onError = jest.fn();
      let done = false;
      const app = express();
      app.use(requestContext());
      app.get("/fine", (_req, res) => void res.send("fine"));
      app.use(timeout({ ms: MS, ...options }));
      const router = express.Router();
      router.get("/", async (req) => {
        await deadline(req, (r) => contextOf(r).signal);
        done = true;
        throw errorFor(contextOf(req).signal.reason);
      });
      if (wraps) app.use(recover.wrap(router, { logger, onError }));
      else app.use(router, recover({ logger, onError }));
      const { port } = await listen(app);
      await survive(port, () => done);
      expect(stderr).toEqual([]);
      expect(onError).not.toHaveBeenCalled(); // it is for the errors that recover answers
      return logger.entries;
    }

    it("is passed to onLate, and to no other callback", async () => {
      const errors: [unknown, string][] = [];
      const onLate = (error: unknown, req: Request) => void errors.push([error, req.path]);
      expect(await failing(() => new Error("late"), { onLate })).toEqual([]);
      expect(errors).toEqual([[new Error("late"), "/"]]);
    });

    it("is logged once, as a warning, by the logger of recover", async () => {
      expect(await failing(() => new Error("late"))).toEqual([
        {
          level: "warn",
          message: "request failed after it had timed out: GET /: late",
          fields: { method: "GET", path: "/", requestId: expect.any(String), error: expect.anything() },
        },
      ]);
    });

    it.each<[string, (reason: unknown) => unknown]>([
      ["the signal's reason", (reason) => reason],
      ["an error because of it", (reason) => new Error("aborted", { cause: reason })],
      ["an AbortRequest, which has nothing to drop any more", () => new AbortRequest()],
    ])("is not logged if it is %s", async (_what, errorFor) => {
      expect(await failing(errorFor)).toEqual([]);
    });
  });

  it("a fetch that fails because of the signal is not logged", async () => {
    const upstream = await listen(() => {});
    const logger = memoryLogger();
    const app = express();
    app.get("/fine", (_req, res) => void res.send("fine"));
    app.use(timeout(MS));
    app.get("/", async (req, res) => {
      res.send(await (await fetch(upstream.url, { signal: contextOf(req).signal })).text());
    });
    app.use(recover({ logger }));
    const { port } = await listen(app);
    await survive(port, () => true);
    expect([...logger.entries, ...stderr]).toEqual([]);
  });

  it("an AbortRequest in time still drops the connection", async () => {
    const app = express();
    app.use(timeout(MS));
    app.get("/in-time", () => {
      throw new AbortRequest();
    });
    app.use(recover({ logger: memoryLogger() }));
    const { url } = await listen(app);
    await expect(fetch(`${url}/in-time`)).rejects.toThrow("fetch failed");
  });
});
