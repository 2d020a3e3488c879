import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import compression from "compression";
import type express5 from "express";
import type { NextFunction, Request, Response } from "express";
import session from "express-session";
import { bodyLimit } from "../../../src/body-limit/index.js";
import { cache } from "../../../src/cache/index.js";
import { chain } from "../../../src/chain/index.js";
import { compress } from "../../../src/compress/index.js";
import { requestContext } from "../../../src/context/index.js";
import { cors } from "../../../src/cors/index.js";
import { notFound } from "../../../src/not-found.js";
import { recover } from "../../../src/recover/index.js";
import { requestLog } from "../../../src/request-log/index.js";
import { securityHeaders } from "../../../src/security-headers/index.js";
import { timeout } from "../../../src/timeout/index.js";
import { describePipeline } from "../../../tools/check/index.js";
import { expressVersions } from "../../support/express.js";
import { memoryLogger } from "../../support/logger.js";
import { closeServers, listen, raw } from "../../support/server.js";
import { inSoak } from "../../support/soak.js";
import { closeInspectors, openInspector, sumOf } from "./support.js";

afterEach(async () => {
  await closeInspectors();
  await closeServers();
});

/** Middleware of this package and of others, and routes that answer in many ways. */
function appOf(express: typeof express5, entries: object[]) {
  const app = express();
  const logger = memoryLogger();
  const stream = { write: (line: string) => void entries.push(JSON.parse(line)) };
  app.use(requestContext(), requestLog({ format: "json", stream }), securityHeaders());
  app.use(cors({ origin: "https://a.example" }));
  app.use("/ours", cache(), compress(), timeout(200), bodyLimit(20));
  app.use("/theirs", session({ secret: "s", resave: false, saveUninitialized: false }), compression());
  for (const prefix of ["/ours", "/theirs"]) {
    const router = express.Router();
    router.get("/json", (_req, res) => void res.json({ a: "b".repeat(3_000) }));
    router.get("/fresh", (_req, res) => void res.set("Cache-Control", "max-age=60").send("fresh"));
    router.get("/file", (_req, res) => res.sendFile(join(__dirname, "support.ts")));
    router.get("/gone", (_req, res) => res.redirect(302, "/elsewhere"));
    router.get("/empty", (_req, res) => void res.status(204).end());
    router.get(
      "/head",
      (_req, res) => void res.writeHead(200, { "X-Own": "1", "Content-Length": 2 }).end("ok"),
    );
    router.get("/stream", async (_req, res) => {
      for (let i = 0; i < 3; i++) {
        res.write(`part ${i}\n`);
        await sleep(5);
      }
      res.end();
    });
    router.get("/slow", (_req, res) => void setTimeout(() => res.send("late"), 300));
    router.get("/throws", () => {
      throw Object.assign(new Error("thrown"), { stack: "a stack" }); // the inspector's functions are in it
    });
    router.get("/next", (_req, _res, next) => next("route"));
    router.get("/next", (_req, res) => void res.send("the next route"));
    router.get(
      "/chain",
      chain((_req, _res, next) => next()).then((_req, res) => void res.send("chain")),
    );
    router.post("/body", express.text({ type: () => true }), (req, res) => void res.send(req.body));
    app.use(prefix, router);
  }
  app.use((_error: Error, _req: Request, _res: Response, next: NextFunction) => next(_error));
  app.use(notFound(), recover({ logger }));
  return app;
}

const QUESTIONS = [
  "json",
  "fresh",
  "fresh",
  "file",
  "gone",
  "empty",
  "head",
  "stream",
  "slow",
  "throws",
  "next",
  "chain",
  "none",
];

function questions(): string[] {
  const get = (path: string, more = "", method = "GET") =>
    `${method} ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${more}\r\n`;
  return ["/ours", "/theirs"].flatMap((prefix) => [
    ...QUESTIONS.map((name) => get(`${prefix}/${name}`)),
    ...["json", "stream", "throws"].map((name) =>
      get(`${prefix}/${name}`, "Accept-Encoding: gzip\r\nOrigin: https://a.example\r\n"),
    ),
    get(`${prefix}/json`, "", "HEAD"),
    get(`${prefix}/json`, "", "OPTIONS"),
    get(`${prefix}/body`, "Content-Type: text/plain\r\nContent-Length: 5\r\n", "POST").concat("hello"),
    get(`${prefix}/body`, "Content-Type: text/plain\r\nContent-Length: 30\r\n", "POST").concat(
      "x".repeat(30),
    ),
  ]);
}

/** Without what differs for each request: ids, dates, cookies; a compressed body by its length. */
function comparable(text: string): string {
  return text
    .replace(/^(?:Date|X-Request-Id|Set-Cookie|Age|Last-Modified): .*\r\n/gim, "")
    .replace(/"(?:requestId|instance)":"[^"]*"/g, "")
    .replace(/ttl=\d+/g, "ttl");
}

describe.each(expressVersions)("%s", (_version, express) => {
  it("the answers and the log are the same with the inspector, and all times add up", async () => {
    const entries: [object[], object[]] = [[], []];
    const [plain, inspected] = [appOf(express, entries[0]), appOf(express, entries[1])];
    const inspector = await openInspector(inspected);
    const ports = [(await listen(plain)).port, (await listen(inspected)).port] as const;
    let id = 0;
    for (const question of questions()) {
      const [one, other] = await Promise.all(ports.map((port) => raw(port, question, 20_000)));
      const what = question.split("\r\n", 1)[0];
      expect([what, comparable(other!.text), other!.end]).toEqual([what, comparable(one!.text), one!.end]);
      const detail = await inspector.ended(++id);
      expect(sumOf(detail)).toBeCloseTo(detail.summary.totalMs!, 1);
      expect([what, detail.summary.status]).toEqual([what, Number(other!.text.slice(9, 12))]);
    }
    const shown = (entry: object) => {
      const { status, route, path, cache, error, refused } = entry as Record<string, unknown>;
      return { status, route, path, cache, error: (error as { type?: string } | undefined)?.type, refused };
    };
    expect(entries[1].map(shown)).toEqual(entries[0].map(shown));
  });

  it("what describePipeline reads is the same while an inspector is open", async () => {
    const app = appOf(express, []);
    const before = describePipeline(app);
    await openInspector(app);
    const { url } = await listen(app);
    await (await fetch(`${url}/ours/json`)).text();
    expect(describePipeline(app)).toEqual(before);
  });
});

inSoak(() =>
  it("an open inspector does not keep the process: it ends when the app's server has closed", async () => {
    const { execFile } = await import("node:child_process");
    const script = `
    const express = require("express");
    const { inspect } = require("express-portico/inspector");
    (async () => {
      const app = express();
      const { url } = await inspect(app);
      require("node:http").get(url + "events").on("error", () => {}).on("socket", (socket) => socket.unref());
      const server = app.listen(0, "127.0.0.1", () => setTimeout(() => server.close(), 100));
    })();`;
    const ended = new Promise((resolve) =>
      execFile(process.execPath, ["-e", script], { cwd: join(__dirname, "../../..") }, resolve),
    );
    expect(await ended).toBeNull();
  }),
);
