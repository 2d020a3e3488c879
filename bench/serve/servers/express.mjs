// Express: bare, with helmet, cors and morgan by hand, and with ours; by `listen` and by `serve`.
import corsPackage from "cors";
import express from "express";
import {
  around,
  authenticate,
  bearer,
  cache,
  cors,
  portico,
  recover,
  requestContext,
  requestLog,
  securityHeaders,
  serve as serveApp,
  timeout,
} from "express-portico";
import helmet from "helmet";
import morgan from "morgan";
import { CACHED, LARGE, ORIGINS, PAGE, SMALL, staticFolder, swallow } from "./common.mjs";

const byHand = [morgan("combined", { stream: swallow }), helmet(), corsPackage({ origin: ORIGINS })];
const log = { format: "combined", stream: swallow };

const apps = {
  bare: () => app(),
  "hand-log": () => app(byHand.slice(0, 1)),
  "hand-headers": () => app(byHand.slice(0, 2)),
  hand: () => app(byHand),
  context: () => app([requestContext()]),
  log: () => app([requestContext(), requestLog(log)]),
  headers: () => app([requestContext(), requestLog(log), securityHeaders()]),
  cors: () =>
    app([requestContext(), requestLog(log), securityHeaders(), cors({ origin: ORIGINS })], [recover()]),
  portico: () => {
    const { before, after } = portico({ log, cors: { origin: ORIGINS } });
    return app(before, after);
  },
  around: () => app([requestContext(), timeout(30_000), around((_req, _res, next) => next())]),
};

function app(before = [], after = []) {
  const made = express();
  if (before.length > 0) made.use(before);
  made.get("/", (_req, res) => void res.json(SMALL));
  made.get("/large", (_req, res) => void res.json(LARGE));
  made.get("/page", (_req, res) => void res.send(PAGE));
  made.use("/static", express.static(staticFolder()));
  made.post("/items", express.json(), (req, res) => void res.json({ received: req.body.items.length }));
  made.get("/cached", cache(), (_req, res) => void res.set("Cache-Control", "max-age=86400").json(CACHED));
  made.get("/private", authenticate(bearer({ verify: () => false })), (_req, res) => void res.json(SMALL));
  return after.length > 0 ? made.use(after) : made;
}

export async function start(name, how) {
  const made = apps[name]();
  if (how === "serve") {
    const { url } = await serveApp(made, { port: 0, host: "127.0.0.1" });
    return Number(new URL(url).port);
  }
  return new Promise((resolve) => {
    const server = made.listen(0, "127.0.0.1", () => resolve(server.address().port));
    server.keepAliveTimeout = 0; // connections are idle during the rounds of the other servers
  });
}
