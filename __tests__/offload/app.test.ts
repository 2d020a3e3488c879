import express from "express";
import request from "supertest";
import { contextOf, currentContext, requestContext } from "../../src/context/index.js";
import { offload } from "../../src/offload/index.js";
import { recover } from "../../src/recover/index.js";
import { memoryLogger } from "../support/logger.js";
import { closeServers, listen, until } from "../support/server.js";
import { fixture, Gate, worker } from "./support.js";

afterEach(closeServers);

it("GET /fib/:n", async () => {
  const fibonacci = offload<number, number>(fixture("fibonacci.mjs"));
  const app = express();
  app.get("/fib/:n", async (req, res) => {
    res.json(await fibonacci(Number(req.params.n), { signal: contextOf(req).signal }));
  });
  await request(app).get("/fib/20").expect(200, "6765");
});

it("a full queue is a 503 with Retry-After; running and waiting requests are served, and so are later ones", async () => {
  const run = worker({ threads: 1, maxQueue: 1 });
  const gate = new Gate();
  const app = express();
  app.get("/", async (_req, res) => {
    res.json(await run(gate.order("done")));
  });
  app.use(recover({ logger: memoryLogger() }));
  const { url } = await listen(app);
  const refused: Response[] = [];
  const answers = Array.from({ length: 5 }, async () => {
    const answer = await fetch(url);
    if (answer.status === 503) refused.push(answer);
    return answer.status;
  });
  await until(() => refused.length === 3);
  gate.open();
  expect((await Promise.all(answers)).sort()).toEqual([200, 200, 503, 503, 503]);
  for (const { headers } of refused) {
    expect(headers.get("retry-after")).toBe("1");
    expect(headers.get("content-type")).toMatch(/problem\+json/);
  }
  expect((await fetch(url)).status).toBe(200);
});

it.each([
  ["a task that takes too long", { do: "forever" }, 503, "1"],
  ["a task that throws", { do: "typed" }, 500, undefined],
  ["a task that throws with a status", { do: "withStatus", status: 422 }, 422, undefined],
  ["a thread that dies", { do: "exit" }, 500, undefined],
  ["a result that cannot be copied", { do: "lambda" }, 500, undefined],
])("%s", async (_what, order, status, retryAfter) => {
  const run = worker({ threads: 1, timeoutMs: 100 });
  const app = express();
  app.get("/", async (_req, res) => {
    res.json(await run(order));
  });
  app.use(recover({ logger: memoryLogger() }));
  const answer = await request(app).get("/").expect(status);
  expect(answer.headers["retry-after"]).toBe(retryAfter);
});

it("a client that leaves ends its task, so that the only thread is free for the next one", async () => {
  const run = worker({ threads: 1 });
  const gate = new Gate();
  const app = express();
  app.use(requestContext());
  app.get("/held", async (req, res) => {
    res.json(await run(gate.order(), { signal: contextOf(req).signal }));
  });
  app.get("/next", async (_req, res) => {
    res.json(await run({ do: "echo", value: "next" }));
  });
  app.use(recover({ logger: memoryLogger() }));
  const { url } = await listen(app);
  const client = new AbortController();
  const held = fetch(`${url}/held`, { signal: client.signal }).catch((error: unknown) => error);
  await until(() => gate.begun === 1);
  client.abort();
  expect(await held).toMatchObject({ name: "AbortError" });
  expect(await (await fetch(`${url}/next`)).json()).toBe("next");
});

it("each call resolves in the async context of its own request", async () => {
  const run = worker({ threads: 1 });
  const app = express();
  app.use(requestContext());
  app.get("/", async (req, res) => {
    await run({ do: "later" });
    res.json(currentContext()?.id === contextOf(req).id);
  });
  const { url } = await listen(app);
  const answers = await Promise.all(Array.from({ length: 5 }, async () => (await fetch(url)).json()));
  expect(answers).toEqual([true, true, true, true, true]);
});
