import http from "node:http";
import type http2 from "node:http2";
import express from "express";
import { authenticate, basic } from "../../src/auth/index.js";
import { cache } from "../../src/cache/index.js";
import { requestContext } from "../../src/context/index.js";
import { recover } from "../../src/recover/index.js";
import { type RequestLogOptions, requestLog } from "../../src/request-log/index.js";
import { timeout } from "../../src/timeout/index.js";
import { connectHttp2, listenHttp2 } from "../support/http2.js";
import { memoryLogger } from "../support/logger.js";
import { listen, raw, until } from "../support/server.js";
import { memoryStream } from "./memory.js";

type Logged = Record<string, unknown>;

function makeApp(log: express.RequestHandler): express.Express {
  const app = express();
  const users = authenticate(basic({ realm: "test", users: { ada: "a-long-password" } }));
  app.use(requestContext(), log);
  app.get("/hello/:name", (_req, res) => void res.send("hello"));
  app.get("/me", users, (_req, res) => void res.send("me"));
  app.get("/throws", () => {
    throw new RangeError("broken");
  });
  app.get("/bad", (_req, _res, next) => next(Object.assign(new Error("bad"), { status: 422 })));
  app.get("/unavailable", (_req, res) => void res.sendStatus(503));
  app.get("/slow", timeout(5), () => {});
  app.get("/never", (req) => void req.app.emit("never"));
  app.get("/half", (_req, res) => void res.write("a"));
  app.get("/half-failed", (_req, res) => void res.status(503).write("a"));
  app.get("/truncated", (_req, res) => {
    res.write("a");
    setImmediate(() => res.destroy(new TypeError("own")));
  });
  app.get("/drop", (req) => void req.socket.destroy());
  app.get("/cached", cache(), (_req, res) => void res.set("Cache-Control", "max-age=60").send("x"));
  app.use(recover({ logger: memoryLogger() }));
  return app;
}

const TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/** Sends requests of every kind, and returns what was logged of each, by the kind's name. */
export async function logOfEveryKind(options: RequestLogOptions): Promise<Map<string, Logged>> {
  const stream = memoryStream();
  const log = requestLog({ stream, format: "json", headers: ["accept-language", "x.dotted"], ...options });
  const app = makeApp(log);
  const { port, url } = await listen(app);
  const logged = new Map<string, Logged>();
  const note = async (kind: string, ask: () => unknown) => {
    const before = stream.lines.length;
    await ask();
    await until(() => stream.lines.length > before);
    logged.set(kind, JSON.parse(stream.lines[before]!) as Logged);
  };
  const get = (path: string, headers: Record<string, string> = {}) =>
    fetch(url + path, { headers }).then((res) => res.text().catch(() => ""));
  const send = (head: string) => raw(port, `${head}\r\nHost: a.example\r\nConnection: close\r\n\r\n`);
  const leave = (path: string) =>
    new Promise<void>((resolve) => {
      const req = http.get(url + path, (res) => res.on("error", () => {}).once("data", () => req.destroy()));
      req.on("error", () => {}).on("close", resolve);
      if (path === "/never") app.once("never", () => req.destroy());
    });

  await note("ok", () =>
    get("/hello/ada?x=1&token=s", { traceparent: TRACEPARENT, referer: "http://r/?x=1" }),
  );
  await note("headers", () => get("/hello/ada", { "accept-language": "en", "x.dotted": "1" }));
  await note("authenticated", () => get("/me", { authorization: `Basic ${btoa("ada:a-long-password")}` }));
  await note("unmatched", () => get("/nowhere"));
  await note("thrown", () => get("/throws"));
  await note("client's error", () => get("/bad"));
  await note("unavailable", () => get("/unavailable"));
  await note("timed out", () => get("/slow"));
  await note("aborted before the head", () => leave("/never"));
  await note("aborted in the body", () => leave("/half"));
  await note("aborted in a failure's body", () => leave("/half-failed"));
  await note("truncated by the server", () => get("/truncated").catch(() => {}));
  await note("dropped by the server", () => get("/drop").catch(() => {}));
  await note("stored", () => get("/cached"));
  await note("cached", () => get("/cached"));
  await note("HEAD", () => send("HEAD /hello/ada HTTP/1.1"));
  await note("unknown method", () => send("PROPFIND /hello/ada HTTP/1.1"));
  await note("HTTP/1.0", () => raw(port, "GET /hello/ada HTTP/1.0\r\n\r\n"));
  await note("strange host", () =>
    raw(port, 'GET /hello/ada HTTP/1.1\r\nHost: a"b:99999\r\nConnection: close\r\n\r\n'),
  );
  await note("behind a proxy", async () => {
    app.set("trust proxy", "loopback");
    await get("/hello/ada", {
      "x-forwarded-for": "fe80::1%eth0",
      "x-forwarded-proto": "https",
      "x-forwarded-host": "shop.example:8443, inner.example",
    });
    app.set("trust proxy", false);
  });
  await note("Unix socket", () => overUnixSocket(app));
  const secure = await listenHttp2(
    (req: http2.Http2ServerRequest, res: http2.Http2ServerResponse) => {
      log(req as never, res as never, () => void (req.url === "/half" ? res.write("x") : res.end("x")));
    },
    { tls: true },
  );
  const overHttp2 = (path: string, leaves: boolean) => async () => {
    const client = connectHttp2(secure.url);
    const stream = client.request({ ":path": path }).on("error", () => {});
    if (leaves) stream.once("data", () => client.destroy());
    await new Promise((resolve) => stream.resume().on("close", resolve));
    client.destroy();
  };
  await note("HTTP/2", overHttp2("/h2?y=2", false));
  await note("HTTP/2, connection gone", overHttp2("/half", true));
  return logged;
}

async function overUnixSocket(app: express.Express): Promise<void> {
  const server = http.createServer(app);
  const socketPath = `\0portico-schemas-${process.pid}-${Math.random()}`;
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  await new Promise((resolve) =>
    http.get({ socketPath, path: "/hello/ada", agent: false }, (res) => res.resume().on("end", resolve)),
  );
  server.close();
  server.closeAllConnections();
}
