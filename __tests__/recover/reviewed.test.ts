import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import express, { type RequestHandler } from "express";
import request from "supertest";
import { contextOf, requestContext } from "../../src/context/index.js";
import { notFound } from "../../src/not-found.js";
import { AbortRequest, type RecoverOptions, recover } from "../../src/recover/index.js";
import { memoryLogger } from "../support/logger.js";
import { closeServers, listen, raw } from "../support/server.js";

const faults: unknown[] = [];
const note = (fault: unknown) => void faults.push(fault);
beforeAll(() => void process.on("uncaughtException", note).on("unhandledRejection", note));
afterAll(() => void process.off("uncaughtException", note).off("unhandledRejection", note));
afterEach(async () => {
  jest.restoreAllMocks();
  await closeServers();
  await new Promise((resolve) => setImmediate(resolve));
  expect(faults.splice(0)).toEqual([]);
});

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

function failing(fail: RequestHandler, options: RecoverOptions = {}) {
  const app = express();
  app.use(requestContext());
  app.get("/ok", (_req, res) => void res.send("ok"));
  app.use(fail);
  app.use(recover({ logger: memoryLogger(), ...options }));
  return app;
}
const boom: RequestHandler = () => {
  throw new Error("boom");
};

it("a source that is still piped into the response does not end the process", async () => {
  const app = failing((_req, res) => {
    Readable.from(["a", "b"]).pipe(res);
    throw new Error("boom");
  });
  await request(app).get("/").expect(500, /boom/);
});

it("wrap over a router without an outer next answers 404, and does not hang", async () => {
  for (const handler of [express(), express.Router()]) {
    const server = await listen(recover.wrap(handler as RequestHandler) as unknown as http.RequestListener);
    await request(server.url).get("/none").expect(404);
  }
});

it("drops a connection over a Unix socket too, which has no reset", async () => {
  const path = join(tmpdir(), `portico-${process.pid}.sock`);
  const server = http.createServer(
    failing(() => {
      throw new AbortRequest();
    }),
  );
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const outcome = await new Promise((resolve) => {
    http
      .get({ socketPath: path, path: "/" }, (res) => resolve(res.statusCode))
      .on("error", () => resolve("dropped"));
  });
  expect(outcome).toBe("dropped");
  await new Promise((resolve) => server.close(resolve));
});

it("renders once, however many errors there are", async () => {
  const render = jest.fn(async (_problem, _req, res) => {
    await new Promise((resolve) => setTimeout(resolve, 10));
    res.json({ rendered: true });
  });
  const app = express();
  const twice: RequestHandler = async (_req, _res, next) => {
    next(new Error("one"));
    throw new Error("two");
  };
  app.use(recover.wrap(twice, { render, logger: memoryLogger() }));
  await request(app).get("/").expect(500, { rendered: true });
  expect(render).toHaveBeenCalledTimes(1);
});

it("waits for a render that answers after its promise, and answers itself if render does not", async () => {
  const late: RecoverOptions["render"] = async (_problem, _req, res) =>
    void setTimeout(() => res.send("late"), 10);
  await request(failing(boom, { render: late }))
    .get("/")
    .expect(500, "late");

  const { setTimeout: real } = globalThis;
  jest
    .spyOn(globalThis, "setTimeout")
    .mockImplementation(((run: () => void, ms: number, ...rest: []) =>
      real(run, ms === 5_000 ? 5 : ms, ...rest)) as typeof setTimeout);
  await request(failing(boom, { render: async () => undefined }))
    .get("/")
    .expect(500, "500\n");
});

it("sends the status alone if render cannot send its file or view, and logs why", async () => {
  const logger = memoryLogger();
  const app = failing(boom, {
    logger,
    render: (_problem, _req, res) => res.sendFile("/nowhere/at/all.html"),
  });
  await request(app).get("/").expect(500, "500\n");
  expect(logger.entries.map(({ fields }) => fields.error.message)).toEqual(["boom", "Not Found"]);
});

it("works if callbacks return a rejecting promise instead of a value", async () => {
  const reject = () => Promise.reject(new Error("asynchronous")) as never;
  const logger = { debug: reject, info: reject, warn: reject, error: reject };
  await request(failing(boom, { logger, status: reject, expose: reject }))
    .get("/")
    .expect(500);
  const app = express();
  app.use(requestContext({ trustRequestId: reject }));
  app.get("/", (req, res) => void res.send(contextOf(req).id));
  const res = await request(app).get("/").set("X-Request-Id", "mine").expect(200);
  expect(res.text).not.toBe("mine");
});

it("a 404 has none of the headers of a body that never came", async () => {
  const app = express();
  app.use((_req, res, next) => {
    res.set({
      "Transfer-Encoding": "chunked",
      "Content-Encoding": "gzip",
      ETag: '"a"',
      "Content-Disposition": "attachment",
    });
    next();
  }, notFound());
  const res = await request(app).get("/").expect(404);
  for (const name of ["transfer-encoding", "content-encoding", "etag", "content-disposition"]) {
    expect(res.headers).not.toHaveProperty(name);
  }
});

it("logs at error if the server itself has dropped the connection", async () => {
  const logger = memoryLogger();
  const app = failing(
    (_req, res, next) => {
      const error = new Error("bug");
      res.on("error", () => {}).destroy(error);
      next(error);
    },
    { logger },
  );
  const server = await listen(app);
  await raw(server.port, GET);
  expect(logger.entries).toMatchObject([
    { level: "error", message: "request failed, and its connection had been dropped: GET /: bug" },
  ]);
});

it("closes the connection even if render asks to keep it: later requests on it are not processed", async () => {
  const app = failing(boom, {
    render: (problem, _req, res) => void res.set("Connection", "keep-alive").json(problem),
  });
  const server = await listen(app);
  const { text, end } = await raw(server.port, GET);
  expect(text).toContain("Connection: close\r\n");
  expect(end).toBe("fin");
});

it.each([
  "text/html;charset=utf-8",
  "text/html;level=1",
  "text/html;charset=utf-8, application/json;q=0.1",
])("Accept %s gets HTML", async (accept) => {
  const res = await request(failing(boom)).get("/").set("Accept", accept);
  expect(res.headers["content-type"]).toMatch(/^text\/html/);
});

it("lets Node report an invalid list of headers", async () => {
  const app = failing((_req, res) => {
    res.on("pipe", () => {});
    res.writeHead(201, ["a"]);
  });
  app.set("env", "test");
  await request(app).get("/").expect(500);
});
