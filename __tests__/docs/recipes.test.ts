import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import express from "express";
import request from "supertest";
import { allowHosts } from "../../docs/recipes/allowed-hosts.js";
import { requireAuthorization } from "../../docs/recipes/authorize.js";
import { limitBody } from "../../docs/recipes/body-limit.js";
import { chain } from "../../docs/recipes/chain.js";
import { enableCors } from "../../docs/recipes/cors.js";
import { refuseForged } from "../../docs/recipes/csrf.js";
import { readiness } from "../../docs/recipes/health.js";
import { shedLoad } from "../../docs/recipes/load-shed.js";
import { allowOnly } from "../../docs/recipes/method-not-allowed.js";
import { requestMetrics } from "../../docs/recipes/metrics.js";
import { recoverPanic } from "../../docs/recipes/recover.js";
import { logRequests } from "../../docs/recipes/request-log.js";
import { commonHeaders } from "../../docs/recipes/security-headers.js";
import { closeServers, listen, raw, until } from "../support/server.js";

const folder = join(__dirname, "../../docs/recipes");
const recipes = readdirSync(folder);

afterEach(() => void jest.restoreAllMocks());

it.each(recipes)("%s imports nothing but Express's types, and is short", (file) => {
  const text = readFileSync(join(folder, file), "utf8");
  expect(text.match(/^import .*$/gm)).toEqual([
    expect.stringMatching(/^import type \{.*\} from "express";$/),
  ]);
  expect(text.split("\n").length).toBeLessThan(30);
});

it.each(recipes)("%s is shown in docs/recipes.md as it is", (file) => {
  const page = readFileSync(join(folder, "../recipes.md"), "utf8");
  expect(page).toContain(readFileSync(join(folder, file), "utf8").trim());
});

afterEach(closeServers);

it("the CORS recipe allows every origin, and answers OPTIONS with an empty 200", async () => {
  const app = express();
  app.use(enableCors);
  app.use((_req, res) => void res.send("reached"));
  const preflight = await request(app).options("/").expect(200, "");
  expect(preflight.headers).toMatchObject({
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "GET, POST, OPTIONS, PUT, DELETE, HEAD, PATCH",
    "access-control-allow-headers": "*",
  });
  const actual = await request(app).get("/").expect(200, "reached");
  expect(actual.headers["access-control-allow-origin"]).toBe("*");
});

it("the log recipe writes one line with method, path, status and duration", async () => {
  const log = jest.spyOn(console, "log").mockImplementation(() => {});
  const app = express();
  app.use(logRequests);
  app.get("/hello", (_req, res) => void res.send("hi"));
  await request(app).get("/hello?x=1");
  expect(log.mock.calls).toEqual([[expect.stringMatching(/^GET \/hello 200 \d+\.\d{3} ms$/)]]);
});

it("the recipe of a limit of the requests in flight refuses one more, and serves it later", async () => {
  const waiting: (() => void)[] = [];
  const app = express();
  app.use(shedLoad(2));
  app.get("/", (_req, res) => void waiting.push(() => res.send("ok")));
  const { port } = await listen(app);
  const head = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  const served = [raw(port, head), raw(port, head)];
  await until(() => waiting.length === 2);
  const { text } = await raw(port, head);
  expect(text).toMatch(/^HTTP\/1\.1 503 /);
  expect(text).toMatch(/\r\nRetry-After: [1-5]\r\n/);
  for (const answer of waiting.splice(0)) answer();
  for (const one of await Promise.all(served)) expect(one.text).toMatch(/^HTTP\/1\.1 200 /);
  const later = raw(port, head);
  await until(() => waiting.length === 1);
  waiting[0]!();
  expect((await later).text).toMatch(/^HTTP\/1\.1 200 /);
});

it("the recipe of a body's limit refuses longer ones, with a length and without", async () => {
  const app = express();
  app.use(limitBody(10));
  app.post("/", express.text({ type: () => true }), (req, res) => void res.send(`${req.body.length}`));
  const { port } = await listen(app);
  const ask = (rest: string) => raw(port, `POST / HTTP/1.1\r\nHost: a\r\n${rest}`, 200);
  const chunked = (body: string) =>
    ask(`Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`);
  expect((await ask("Content-Length: 10\r\n\r\n0123456789")).text).toMatch(/^HTTP\/1\.1 200 .*\r\n10$/s);
  expect((await chunked("0123456789")).text).toMatch(/^HTTP\/1\.1 200 .*\r\n10$/s);
  for (const answer of [await ask("Content-Length: 11\r\n\r\n"), await chunked("0123456789a")]) {
    expect(answer.text).toMatch(/^HTTP\/1\.1 413 .*The body is too large\.\n$/s);
    expect(answer.end).not.toBe("quiet");
  }
});

it("the headers recipe sets its five headers", async () => {
  const app = express();
  app.use(commonHeaders);
  app.get("/", (_req, res) => void res.send("hi"));
  expect((await request(app).get("/")).headers).toMatchObject({
    "content-security-policy":
      "default-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    "referrer-policy": "origin-when-cross-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "deny",
    "x-xss-protection": "0",
  });
});

it("the recovery recipe answers 500 and closes the connection, and truncates a response that has begun", async () => {
  jest.spyOn(console, "error").mockImplementation(() => {});
  const app = express();
  app.get("/panic", () => {
    throw new Error("no");
  });
  app.get("/late", async (_req, res) => {
    res.write("half");
    throw new Error("no");
  });
  app.use(recoverPanic);
  const res = await request(app).get("/panic").expect(500, "Internal Server Error\n");
  expect(res.headers.connection).toBe("close");
  await expect(request((await listen(app)).url).get("/late")).rejects.toThrow();
});

it("the authorization recipe returns early with a 403", async () => {
  const reached = jest.fn((_req, res) => void res.send("in"));
  const app = express();
  app.get(
    "/",
    requireAuthorization((req) => req.query.key === "open"),
    reached,
  );
  await request(app).get("/").expect(403, "Forbidden\n");
  expect(reached).not.toHaveBeenCalled();
  await request(app).get("/?key=open").expect(200, "in");
});

it("the chain recipe runs its handlers in order, stops where one does not call next, and passes on errors", async () => {
  const order: string[] = [];
  const step = (name: string): express.RequestHandler => {
    return (_req, _res, next) => {
      order.push(name);
      next();
    };
  };
  const app = express();
  app.get("/order", chain(step("a"), step("b"), chain(step("c"))), (_req, res) => void res.json(order));
  app.get(
    "/stop",
    chain((_req, res) => void res.send("stopped"), step("never")),
  );
  app.get(
    "/throw",
    chain(step("x"), () => {
      throw new Error("sync");
    }),
  );
  app.get(
    "/reject",
    chain(step("x"), async () => {
      throw new Error("async");
    }),
  );
  app.use(
    ((error, _req, res, _next) => void res.status(500).send(error.message)) as express.ErrorRequestHandler,
  );
  await request(app).get("/order").expect(200, ["a", "b", "c"]);
  await request(app).get("/stop").expect(200, "stopped");
  await request(app).get("/throw").expect(500, "sync");
  await request(app).get("/reject").expect(500, "async");
  expect(order).not.toContain("never");
});

it.each<[string, "get" | "post" | "delete", Record<string, string>, number]>([
  ["a page of another site", "post", { "Sec-Fetch-Site": "cross-site", Origin: "https://evil.example" }, 403],
  ["a sibling domain", "post", { "Sec-Fetch-Site": "same-site" }, 403],
  ["a value that is none", "delete", { "Sec-Fetch-Site": "" }, 403],
  ["an older browser, another site", "post", { Host: "a.example", Origin: "http://evil.example" }, 403],
  ["a sandboxed frame", "post", { Origin: "null" }, 403],
  ["the app's own page", "post", { "Sec-Fetch-Site": "same-origin" }, 200],
  [
    "an older browser, the app's own page",
    "post",
    { Host: "a.example:81", Origin: "http://a.example:81" },
    200,
  ],
  ["no browser", "post", {}, 200],
  ["a link on another site", "get", { "Sec-Fetch-Site": "cross-site" }, 200],
])("the recipe against forged requests: %s", async (_name, method, headers, status) => {
  const app = express();
  app.use(refuseForged, (_req, res) => void res.send("reached"));
  await request(app)[method]("/").set(headers).expect(status);
});

it.each([
  ["localhost", 200],
  ["LOCALHOST:3000", 200],
  ["localhost.", 200],
  ["localhost.evil.example", 421],
  ["evil.example", 421],
  ["localhost@evil.example", 421],
  ["[::1]", 421],
])("the hosts recipe: %s is answered with %i", async (host, status) => {
  const app = express();
  app.use(allowHosts("localhost"), (_req, res) => void res.send("reached"));
  await request(app).get("/").set("Host", host).expect(status);
});

it("the 405 recipe answers other methods with Allow, and OPTIONS with 200", async () => {
  const app = express();
  app
    .route("/x")
    .get((_req, res) => void res.send("x"))
    .all(allowOnly("GET"));
  await request(app).get("/x").expect(200, "x");
  await request(app).head("/x").expect(200);
  const refused = await request(app).delete("/x").expect(405, "DELETE is not allowed here.\n");
  expect(refused.headers.allow).toBe("GET, HEAD, OPTIONS");
  const options = await request(app).options("/x").expect(200, "");
  expect(options.headers.allow).toBe("GET, HEAD, OPTIONS");
});

it("the readiness recipe answers by its last result, and runs its check in the background", async () => {
  let runs = 0;
  let check: (signal: AbortSignal) => unknown = () => new Promise(() => {});
  const app = express();
  app.get(
    "/readyz",
    readiness(
      (signal) => {
        runs++;
        return check(signal);
      },
      5,
      200,
    ),
  );
  const turns = [
    [() => true, 200, { status: "pass" }],
    [() => Promise.reject(new Error("down")), 503, { status: "fail" }],
    [async () => {}, 200, { status: "pass" }],
    [() => false, 503, { status: "fail" }],
    [() => true, 200, { status: "pass" }],
    [
      () => {
        throw new Error("down");
      },
      503,
      { status: "fail" },
    ],
    [() => true, 200, { status: "pass" }],
    [() => new Promise(() => {}), 503, { status: "fail" }],
  ] as const;
  const first = await request(app).get("/readyz").expect(503, { status: "fail" });
  expect(first.headers["cache-control"]).toBe("no-store");
  for (const [next, status, body] of turns) {
    check = next;
    while ((await request(app).get("/readyz")).status !== status)
      await new Promise((resolve) => setTimeout(resolve, 5));
    await request(app).get("/readyz").expect(status, body);
  }
  const before = runs;
  await Promise.all(Array.from({ length: 20 }, () => request(app).get("/readyz")));
  expect(runs - before).toBeLessThan(10);
});

it("the metrics recipe counts by route, and by nothing that a client chose", async () => {
  const { count, show } = requestMetrics();
  const app = express();
  app.get("/metrics", show);
  app.use(count);
  app.get("/orders/:id", (_req, res) => void res.send("an order"));
  app.get("/fails", () => {
    throw Object.assign(new Error("down"), { status: 503 });
  });
  const QUOTED = /^\/a"?$/;
  app.get(QUOTED, (_req, res) => void res.send("a quote in the template"));
  app.get("/slow", () => {});
  for (const path of ["/orders/1", "/orders/2", "/fails", "/scanner/1", "/scanner/2", "/a"]) {
    await request(app).get(path);
  }
  const { port, server } = await listen(app);
  const client = net.connect(port, "127.0.0.1", () => client.write("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"));
  await once(server, "request");
  client.destroy();
  const text = async () => (await request(app).get("/metrics")).text;
  await untilTrue(async () => (await text()).includes('status="499"'));

  const counts = (await text()).split("\n").filter((line) => line.includes("_count"));
  expect(counts.map((line) => line.replace("http_request_duration_seconds_count", ""))).toEqual([
    '{method="GET",route="/orders/:id",status="200"} 2',
    '{method="GET",route="/fails",status="503"} 1',
    '{method="GET",route="",status="404"} 2',
    `{method="GET",route=${JSON.stringify(String(QUOTED))},status="200"} 1`,
    '{method="GET",route="/slow",status="499"} 1',
  ]);
});

/** As `until`, for a condition that asks the server. */
async function untilTrue(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
}
