import { setTimeout as sleep } from "node:timers/promises";
import type { ErrorRequestHandler, NextFunction, Request, RequestHandler, Response } from "express";
import express5 from "express";
import { chain, unless, when } from "../../../src/chain/index.js";
import { requestContext } from "../../../src/context/index.js";
import { cors } from "../../../src/cors/index.js";
import { composedSteps } from "../../../src/lib/express/handler.js";
import { knownState } from "../../../src/lib/request/state.js";
import { recover } from "../../../src/recover/index.js";
import { describePipeline } from "../../../tools/check/index.js";
import { expressVersions } from "../../support/express.js";
import { memoryLogger } from "../../support/logger.js";
import { closeServers, listen } from "../../support/server.js";
import { callOf, closeInspectors, decisionOf, namesOf, openInspector, sumOf } from "./support.js";

afterEach(async () => {
  await closeInspectors();
  await closeServers();
});

const get = async (url: string, init?: RequestInit) => {
  const response = await fetch(url, init);
  return { status: response.status, text: await response.text() };
};

/** Keeps the thread busy. */
function work(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

const pass: RequestHandler = (_req, _res, next) => next();

describe.each(expressVersions)("members of a chain in %s", (_version, express) => {
  it("are layers within it, each with its own time on the way down, waiting and on the way up", async () => {
    let waitedMs = 0;
    const app = express();
    const api = chain(
      function slowDown(_req, _res, next) {
        work(20);
        next();
      },
      function slowUp(_req, _res, next) {
        next();
        work(20);
      },
      async function waits(_req, _res, next) {
        await new Promise(setImmediate); // the code of slowUp has run
        const from = performance.now();
        await sleep(40);
        waitedMs = performance.now() - from;
        next();
      },
    );
    app.get(
      "/x/:id",
      api.then(function last(_req, res) {
        res.send("done");
      }),
    );
    const inspector = await openInspector(app);
    const { url } = await listen(app);
    expect(await get(`${url}/x/1`)).toEqual({ status: 200, text: "done" });
    const detail = await inspector.ended("/x/1");
    expect(detail.calls.map(({ kind, path, parent }) => [kind, path, parent]).slice(1)).toEqual([
      ["route", "/x/:id", 0],
      ["chain", "/x/:id", 1],
      ...[1, 2, 3, 4].map(() => ["middleware", "/x/:id", 2]),
    ]);
    expect(namesOf(detail).slice(2)).toEqual(["slowDown", "slowUp", "waits", "last"]);
    expect(sumOf(detail)).toBeCloseTo(detail.summary.totalMs!, 1);
    expect(callOf(detail, "slowDown").downMs).toBeGreaterThanOrEqual(19.9);
    expect(callOf(detail, "slowUp").upMs).toBeGreaterThanOrEqual(19.9);
    expect(callOf(detail, "waits").heldMs).toBeGreaterThanOrEqual(waitedMs - 0.1);
    expect(detail.summary.answeredBy).toBe("last of GET /x/:id");
    expect(callOf(detail, "last").ending).toBe("answered");
  });

  it("show which one threw or rejected, and the chain's error handler that answered", async () => {
    const app = express();
    const onError: ErrorRequestHandler = function onError(
      error: Error,
      _req: Request,
      res: Response,
      _next: NextFunction,
    ) {
      res.status(418).send(error.message);
    };
    const wrapped = chain(pass, onError, async function rejects() {
      await sleep(1);
      throw new RangeError("rejected");
    });
    app.get("/rejects", wrapped.then(pass));
    app.get(
      "/throws",
      chain(onError, pass).then(function throws() {
        throw new TypeError("thrown");
      }),
    );
    app.get(
      "/passes",
      chain(pass).then(function passes(_req, _res, next) {
        next(new EvalError("passed"));
      }),
    );
    app.use(onError);
    const inspector = await openInspector(app);
    const { url } = await listen(app);

    expect(await get(`${url}/rejects`)).toEqual({ status: 418, text: "rejected" });
    const rejected = await inspector.ended("/rejects");
    expect(callOf(rejected, "rejects")).toMatchObject({ ending: "rejected", fault: { type: "RangeError" } });
    expect(callOf(rejected, "onError")).toMatchObject({
      kind: "error handler",
      parent: 2,
      ending: "answered",
    });

    expect(await get(`${url}/throws`)).toEqual({ status: 418, text: "thrown" });
    const thrown = await inspector.ended("/throws");
    expect(callOf(thrown, "throws")).toMatchObject({ ending: "threw", parent: 2 });
    expect(callOf(thrown, "onError")).toMatchObject({ ending: "answered", parent: 2 });
    expect(decisionOf(thrown, "error")).toBe(
      "throws of GET /throws threw TypeError: thrown — answered by onError of GET /throws.",
    );

    expect(await get(`${url}/passes`)).toEqual({ status: 418, text: "passed" });
    const passed = await inspector.ended("/passes");
    expect(callOf(passed, "passes")).toMatchObject({ ending: "passed an error" });
    expect(callOf(passed, "onError")).toMatchObject({ ending: "answered", parent: 0 }); // outside the chain
    for (const detail of [rejected, thrown, passed])
      expect(sumOf(detail)).toBeCloseTo(detail.summary.totalMs!, 1);
  });

  it("may be chains, guards, routers and apps themselves, and decide as layers do", async () => {
    const app = express();
    const router = express.Router();
    const mounted = express();
    mounted.get("/deep", function deep(_req, res) {
      res.send("deep");
    });
    router.use("/in", mounted);
    const inner = chain(cors({ origin: "https://a.example" })).then(pass);
    const guarded = when(
      (req) => req.method === "GET",
      function audited(_req, _res, next) {
        next();
      },
    );
    app.use(
      "/api",
      chain(
        inner,
        guarded,
        unless(() => true, pass),
      ).then(router),
    );
    const inspector = await openInspector(app);
    const { url } = await listen(app);
    for (const _twice of [1, 2]) {
      expect(await get(`${url}/api/in/deep`, { headers: { Origin: "https://a.example" } })).toEqual({
        status: 200,
        text: "deep",
      });
    }
    for (const id of [1, 2]) {
      const detail = await inspector.ended(id);
      const shown = detail.calls.map(({ kind, name, path, parent }) =>
        [parent, kind, kind === "chain" || kind === "app" ? "" : name, path].join(" "),
      );
      expect(shown).toEqual([
        "-1 app  /",
        "0 chain  /api",
        "1 chain  /api",
        "2 middleware cors /api",
        "2 middleware pass /api",
        "1 chain  /api", // when
        "5 middleware audited /api",
        "1 chain  /api", // unless: its handler was not run
        "1 router router /api",
        "8 app  /api/in",
        "9 route GET /api/in/deep",
        "10 middleware deep /api/in/deep",
      ]);
      expect(decisionOf(detail, "cors")).toMatch(/may read the answer/);
      expect(sumOf(detail)).toBeCloseTo(detail.summary.totalMs!, 1);
    }
  });

  it("are as they were before inspect() and after close(), and for describePipeline in between", async () => {
    const app = express();
    const members = [pass, cors({ origin: "*" }), (_req: Request, res: Response) => void res.send("ok")];
    const handler = chain(pass, members[1] as RequestHandler).then(members[2] as RequestHandler);
    app.get("/", handler);
    const handles = () => composedSteps(handler)!.map(({ handle }) => handle);
    const { url } = await listen(app);
    await get(url);
    expect(handles()).toEqual(members);
    const described = JSON.stringify(describePipeline(app));
    const inspector = await openInspector(app);
    expect(handles()).toEqual(members); // nothing before a request
    await get(url);
    expect(handles().some((handle) => members.includes(handle as never))).toBe(false);
    expect(JSON.stringify(describePipeline(app))).toBe(described);
    await inspector.close();
    const after = handles();
    expect(after.every((handle, i) => handle === members[i])).toBe(true);
    expect((await get(url)).text).toBe("ok");
  });
});

it("an error that comes by the next that requestContext has kept goes to the chain's recover, as without the inspector", async () => {
  const answers: unknown[] = [];
  for (const isInspected of [false, true]) {
    const app = express5();
    const logger = memoryLogger();
    const ways = chain(recover({ logger }), requestContext());
    app.get(
      "/",
      // As `serve` does with an uncaught error of the request.
      ways.then((req) => void setTimeout(() => knownState(req)!.next!(new RangeError("late")), 1)),
    );
    const inspector = isInspected ? await openInspector(app) : undefined;
    const { url } = await listen(app);
    answers.push([(await get(url)).status, logger.entries.length]);
    if (inspector === undefined) continue;
    const detail = await inspector.ended("/");
    expect(detail.summary.answeredBy).toBe("recover of GET /");
    expect(sumOf(detail)).toBeCloseTo(detail.summary.totalMs!, 1);
  }
  expect(answers).toEqual([
    [500, 1],
    [500, 1],
  ]);
});

it("a second next() of a member is said, and the time stays with the member that holds the request", async () => {
  let waitedMs = 0;
  const app = express5();
  app.get(
    "/",
    chain(function twice(_req, _res, next) {
      next();
      next();
    }).then(async function holds(_req, res) {
      await new Promise(setImmediate); // the second next() has been called
      const from = performance.now();
      await sleep(30);
      waitedMs = performance.now() - from;
      res.send("held");
    }),
  );
  const inspector = await openInspector(app);
  const { url } = await listen(app);
  expect((await get(url)).text).toBe("held");
  const detail = await inspector.ended("/");
  expect(callOf(detail, "twice").repeats).toBe(true);
  expect(waitedMs).toBeGreaterThan(20);
  expect(callOf(detail, "holds").heldMs).toBeGreaterThanOrEqual(waitedMs - 0.1);
});
