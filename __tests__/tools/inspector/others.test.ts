import type { NextFunction, Request, RequestHandler, Response } from "express";
import { rateLimit } from "express-rate-limit";
import { createProxyMiddleware } from "http-proxy-middleware";
import multer from "multer";
import passport from "passport";
import { chain } from "../../../src/chain/index.js";
import { requestContext } from "../../../src/context/index.js";
import { recover } from "../../../src/recover/index.js";
import { requestLog } from "../../../src/request-log/index.js";
import { expressVersions } from "../../support/express.js";
import { memoryLogger } from "../../support/logger.js";
import { closeServers, listen } from "../../support/server.js";
import { callOf, closeInspectors, openInspector, sumOf } from "./support.js";

const connectTimeout = require("connect-timeout") as (time: string) => RequestHandler;

afterEach(async () => {
  await closeInspectors();
  await closeServers();
});

const MARK = "body-mark";

describe.each(expressVersions)("middleware of other packages, in %s", (_version, express) => {
  it("without a name is shown by its package's", async () => {
    const backend = await listen((_req, res) => void res.end("from the backend"));
    const app = express();
    app.use("/limited", rateLimit({ limit: 1, validate: false }), (_req, res) => void res.send("passed"));
    app.use("/api", createProxyMiddleware({ target: backend.url }));
    // An app's own function may look alike: it is not taken for a package's.
    app.use("/own", (req: Request & { timedout?: boolean }, _res: Response, next: NextFunction) => {
      req.timedout = true;
      next();
    });
    app.get("/own", connectTimeout("5s"), (_req, res) => void res.send("passed"));
    const inspector = await openInspector(app);
    const { url } = await listen(app);
    for (const path of ["/limited", "/limited", "/api/x"]) await (await fetch(url + path)).text();
    expect((await inspector.ended(2)).summary).toMatchObject({
      status: 429,
      answeredBy: "express-rate-limit (/limited)",
    });
    expect((await inspector.ended(3)).summary.answeredBy).toBe("http-proxy-middleware (/api)");
    await (await fetch(`${url}/own`)).text();
    const { calls } = await inspector.ended(4);
    expect(calls.map(({ name }) => name)).toContain("connect-timeout");
    expect(calls.filter(({ name }) => name === "connect-timeout")).toHaveLength(1);
  });

  it("an error that is passed on again, or by a router's layer, is named with the layer where it began", async () => {
    const app = express();
    app.use("/late", function gate(_req, _res, next) {
      next();
      next(new RangeError("too late"));
    });
    app.get("/late", function waits() {});
    app.post("/json", express.json(), (_req, res) => void res.send("x"));
    app.post("/up", multer({ limits: { fileSize: 5 } }).single("file"), (_req, res) => void res.send("x"));
    app.use(new passport.Passport().initialize());
    app.use(function answers(_error: unknown, _req: Request, res: Response, _next: NextFunction) {
      res.status(500).send("failed");
    } as never);
    const inspector = await openInspector(app);
    const { url } = await listen(app);
    await (await fetch(`${url}/late`)).text();
    await (
      await fetch(`${url}/json`, {
        method: "POST",
        body: `{"a": ${MARK}}`,
        headers: { "Content-Type": "application/json" },
      })
    ).text();
    const form = new FormData();
    form.append("file", new Blob([MARK]), "name.txt");
    await (await fetch(`${url}/up`, { method: "POST", body: form })).text();
    const details = await Promise.all([1, 2, 3].map((id) => inspector.ended(id)));
    expect(details.map(({ summary }) => summary.failure)).toEqual([
      { name: "gate (/late)", how: "passed on", type: "RangeError" },
      { name: "jsonParser of POST /json", how: "passed on", type: "SyntaxError" },
      { name: "multerMiddleware of POST /up", how: "passed on", type: "MulterError" },
    ]);
    for (const detail of details) {
      expect(detail.summary.answeredBy).toBe("answers");
      expect(sumOf(detail)).toBeCloseTo(detail.summary.totalMs!, 1);
      expect(detail.decisions[0]).toMatchObject({
        about: "error",
        text: expect.stringMatching(/passed on .*answered by answers/),
      });
    }
    expect(JSON.stringify(details)).not.toContain(MARK);
  });

  it("what V8 quotes of a body that JSON.parse refuses is not shown, neither in the error nor in the log record", async () => {
    const app = express();
    app.use(requestContext(), requestLog({ format: () => {} }));
    app.use(express.json(), recover({ logger: memoryLogger() }));
    const inspector = await openInspector(app);
    const { url } = await listen(app);
    const headers = { "Content-Type": "application/json" };
    await (await fetch(url, { method: "POST", body: `{"a": ${MARK}}`, headers })).text();
    const detail = await inspector.ended("/");
    const message = `Unexpected token 'b', "…" is not valid JSON`;
    expect(detail.fault!.message).toBe(message);
    expect(detail.record).toMatchObject({ error: { type: "SyntaxError", message } });
    expect(JSON.stringify(detail)).not.toContain(MARK);
  });

  it("a handler that calls the app or a router again: the layers below have the path that they were matched with", async () => {
    const app = express();
    const router = express.Router();
    router.get("/inner", function inner(_req, res) {
      res.send("inner");
    });
    app.get("/again", (req, res, next) => {
      req.url = "/inner";
      (app as never as { handle(...args: unknown[]): void }).handle(req, res, next);
    });
    app.use("/inner", function found(_req, res) {
      res.send("found");
    });
    app.use("/mounted", function mounts(req, res, next) {
      router(req, res, next);
    });
    app.get(
      "/chained",
      chain((_req, _res, next) => next()).then(function member(_req, res) {
        res.send("member");
      }),
    );
    const inspector = await openInspector(app);
    const { port } = await listen(app);
    const get = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).text();
    expect(await Promise.all(["/again", "/mounted/inner", "/chained"].map(get))).toEqual([
      "found",
      "inner",
      "member",
    ]);
    expect(callOf(await inspector.ended("/again"), "found").path).toBe("/inner");
    expect((await inspector.ended("/chained")).summary.answeredBy).toBe("member of GET /chained");
  });
});
