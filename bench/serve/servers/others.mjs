// Koa and Hono with their middleware, and node:http: bare, and with the work of `portico()` in one function.
import { createHash, randomUUID } from "node:crypto";
import http from "node:http";
import { getRequestListener } from "@hono/node-server";
import koaCors from "@koa/cors";
import { Hono } from "hono";
import { cors as honoCors } from "hono/cors";
import { logger as honoLogger } from "hono/logger";
import { secureHeaders } from "hono/secure-headers";
import Koa from "koa";
import koaHelmet from "koa-helmet";
import koaMorgan from "koa-morgan";
import { ORIGINS, SMALL, swallow } from "./common.mjs";

const handlers = {
  bare: () => (_req, res) => {
    const body = JSON.stringify(SMALL);
    res.writeHead(200, {
      "Content-Type": "application/json; charset=utf-8",
      "Content-Length": Buffer.byteLength(body),
    });
    res.end(body);
  },
  inlined: () => inlined,
  koa: () => {
    const app = new Koa();
    app.use(koaMorgan("combined", { stream: swallow }));
    app.use(koaHelmet());
    app.use(koaCors({ origin: (ctx) => ORIGINS.find((one) => one === ctx.get("origin")) ?? "" }));
    app.use((ctx) => {
      ctx.body = SMALL;
    });
    return app.callback();
  },
  hono: () => {
    const app = new Hono();
    app.use(honoLogger((line) => swallow.write(line)));
    app.use(secureHeaders());
    app.use(honoCors({ origin: ORIGINS }));
    app.get("/", (c) => c.json(SMALL));
    return getRequestListener(app.fetch);
  },
};

export function start(name) {
  const server = http.createServer({ keepAliveTimeout: 0 }, handlers[name]());
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server.address().port)));
}

const CSP =
  "default-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'; object-src 'none'";

/** The response and the log line of `portico()`, with nothing decided at run time that can be decided here. */
function inlined(req, res) {
  const start = performance.now();
  const id = randomUUID();
  const body = JSON.stringify(SMALL);
  const etag = createHash("sha1").update(body).digest("base64").slice(0, 27);
  const headers = [
    "X-Request-Id",
    id,
    "Content-Security-Policy",
    CSP,
    "Referrer-Policy",
    "no-referrer",
    "X-Content-Type-Options",
    "nosniff",
    "X-Frame-Options",
    "DENY",
    "X-XSS-Protection",
    "0",
    "Cross-Origin-Opener-Policy",
    "same-origin",
    "Cross-Origin-Resource-Policy",
    "same-origin",
    "Vary",
    "Origin",
  ];
  const { origin } = req.headers;
  if (ORIGINS.includes(origin)) headers.push("Access-Control-Allow-Origin", origin);
  headers.push(
    "X-Powered-By",
    "Express",
    "Content-Type",
    "application/json; charset=utf-8",
    "Content-Length",
    String(body.length),
    "ETag",
    `W/"${body.length.toString(16)}-${etag}"`,
  );
  res.on("close", () => {
    const time = clf(new Date());
    const { referer = "-", "user-agent": agent = "-" } = req.headers;
    const length = body.length;
    swallow.write(
      `${req.socket.remoteAddress} - - [${time}] "${req.method} ${req.url} HTTP/${req.httpVersion}" ` +
        `${res.statusCode} ${length} "${referer}" "${agent}" ${performance.now() - start}\n`,
    );
  });
  res.writeHead(200, headers);
  res.end(body);
}

let second = 0;
let text = "";
/** The date of a log line, which is the same for a second. */
function clf(date) {
  const now = Math.floor(date.getTime() / 1_000);
  if (now !== second) {
    second = now;
    text = date.toUTCString();
  }
  return text;
}
