import express, { type Request } from "express";
import { contextOf, requestContext } from "../../src/context/index.js";
import { AbortRequest, recover } from "../../src/recover/index.js";
import { type TimeoutOptions, timeout } from "../../src/timeout/index.js";
import { memoryLogger } from "../support/logger.js";
import { closeServers, listen } from "../support/server.js";
import { deadline, MS, survive, watchProcess, watchStderr } from "./support.js";

const stderr = watchStderr();
watchProcess();
afterEach(closeServers);

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
