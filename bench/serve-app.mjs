// One server of bench/serve.ts, as a process. Its arguments say what to serve, and how. It runs without a TypeScript loader and
// uses the built package, as users do.
import corsPackage from "cors";
import express from "express";
import {
  around,
  authorize,
  cors,
  recover,
  requestContext,
  requestLog,
  securityHeaders,
  serve,
  timeout,
} from "express-portico";
import helmet from "helmet";
import morgan from "morgan";

const ORIGINS = ["https://a.example", "https://b.example", "https://app.example"];
const swallow = { write: () => true };
const hasKey = (req, res, next) => {
  if (req.headers["x-api-key"] === "k") next();
  else res.status(403).end();
};

const apps = {
  bare: () => app(),
  peers: () =>
    app(morgan("combined", { stream: swallow }), helmet(), corsPackage({ origin: ORIGINS }), hasKey),
  five: () => {
    const made = app(
      requestContext(),
      requestLog({ format: "json", stream: swallow }),
      securityHeaders(),
      cors({ origin: ORIGINS }),
      authorize((req) => req.headers["x-api-key"] === "k"),
    );
    return made.use(recover());
  },
  around: () =>
    app(
      requestContext(),
      timeout(30_000),
      around((_req, _res, next) => next()),
    ),
};

function app(...before) {
  const made = express();
  for (const handler of before) made.use(handler);
  return made.get("/", (_req, res) => void res.json({ hello: "world" }));
}

const [what = "", how = ""] = process.argv.slice(2);
const made = apps[what]();
const port =
  how === "serve"
    ? Number(new URL((await serve(made, { port: 0, host: "127.0.0.1" })).url).port)
    : await new Promise((resolve) => {
        const server = made.listen(0, "127.0.0.1", () => resolve(server.address().port));
        server.keepAliveTimeout = 0; // connections are idle during the rounds of the other servers
      });

process.on("message", () => process.send?.(process.cpuUsage()));
process.send?.({ port });
