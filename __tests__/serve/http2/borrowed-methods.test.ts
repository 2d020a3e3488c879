import http from "node:http";
import cookieSession from "cookie-session";
import Cookies from "cookies";
import express, { type Express, type Request, type Response } from "express";
import session from "express-session";
import onHeaders from "on-headers";
import { http2ServerOptions } from "../../../src/serve/http2/bridge.js";
import { type Answer, ask, ask1, closeHttp2, connectHttp2, listenHttp2 } from "../../support/http2.js";
import { until } from "../../support/server.js";

afterEach(closeHttp2);

const onFinished = require("on-finished") as (message: object, listener: (error: unknown) => void) => void;

type Handler = (req: Request, res: Response) => void;
type Borrowed = Record<string, (this: unknown, ...args: unknown[]) => unknown>;

const outgoing = http.OutgoingMessage.prototype as unknown as Borrowed;
const server = http.ServerResponse.prototype as unknown as Borrowed;

function appOf(handler: Handler): Express {
  const app = express();
  app.disable("x-powered-by");
  app.use(handler);
  return app;
}

/** The same request over HTTP/2, and over HTTP/1.1 on the same port. */
async function both(app: Express, headers: Record<string, string> = {}): Promise<[Answer, Answer]> {
  const { url } = await listenHttp2(app, http2ServerOptions(app));
  return [await ask(connectHttp2(url), "/", { headers }), await ask1(url, "/", { headers })];
}

function plain({ status, headers, body }: Answer) {
  const { connection, "keep-alive": keepAlive, date, "transfer-encoding": encoding, ...rest } = headers;
  return { status, body, headers: rest };
}

const borrowed: Record<string, Handler> = {
  "setHeader and getHeader": (_req, res) => {
    outgoing.setHeader!.call(res, "X-A", "1");
    res.end(String(outgoing.getHeader!.call(res, "x-a")));
  },
  "setHeader of cookies": (_req, res) => {
    outgoing.setHeader!.call(res, "Set-Cookie", ["a=1", "b=2"]);
    res.end();
  },
  appendHeader: (_req, res) => {
    outgoing.appendHeader!.call(res, "Set-Cookie", "a=1");
    outgoing.appendHeader!.call(res, "Set-Cookie", "b=2");
    res.end();
  },
  setHeaders: (_req, res) => {
    outgoing.setHeaders!.call(res, new Map([["x-a", "1"]]));
    res.end();
  },
  "getHeaders, getHeaderNames, hasHeader, removeHeader": (_req, res) => {
    res.setHeader("x-a", "1").setHeader("x-b", "2");
    outgoing.removeHeader!.call(res, "x-b");
    const all = outgoing.getHeaders!.call(res) as object;
    res.end(JSON.stringify([all, outgoing.getHeaderNames!.call(res), outgoing.hasHeader!.call(res, "x-b")]));
  },
  "writeHead, write and end": (_req, res) => {
    server.writeHead!.call(res, 201, { "x-a": "1" });
    outgoing.write!.call(res, "one ");
    outgoing.end!.call(res, "two");
  },
  flushHeaders: (_req, res) => {
    outgoing.flushHeaders!.call(res);
    res.end("body");
  },
  "setHeader when the head is sent": (_req, res) => {
    res.write("code: ");
    try {
      outgoing.setHeader!.call(res, "x-a", "1");
    } catch (error) {
      res.end((error as NodeJS.ErrnoException).code);
    }
  },
  "past what others have put on the response": (_req, res) => {
    res.setHeader = () => {
      throw new Error("not this one");
    };
    server.setHeader!.call(res, "x-a", "1");
    res.end();
  },
  "the request's setTimeout": (req, res) => {
    const same =
      (http.IncomingMessage.prototype as unknown as Borrowed).setTimeout!.call(req, 60_000) === req;
    res.end(String(same));
  },
};

it.each(
  Object.keys(borrowed),
)("a method of node:http that is called on an HTTP/2 object works: %s", async (name) => {
  const [two, one] = await both(appOf(borrowed[name]!));
  expect(plain(two)).toEqual(plain(one));
});

describe("over HTTP/2 as over HTTP/1", () => {
  it("cookies sets its cookies, signed ones too, beside those of Express", async () => {
    const app = appOf((req, res) => {
      res.cookie("express", "0");
      const cookies = new Cookies(req, res, { keys: ["k"] });
      cookies.set("a", "1").set("b", "2", { signed: true });
      res.send(cookies.get("sent") ?? "none");
    });
    const [two, one] = await both(app, { cookie: "sent=yes" });
    expect(plain(two)).toEqual(plain(one));
    expect(two.body).toBe("yes");
    expect(two.headers["set-cookie"]).toHaveLength(4);
  });

  it("cookie-session keeps a session", async () => {
    const app = express();
    app.use(cookieSession({ name: "s", keys: ["k"] }));
    app.use((req, res) => {
      const visits = req.session as unknown as { n?: number };
      visits.n = (visits.n ?? 0) + 1;
      res.send(String(visits.n));
    });
    const { url } = await listenHttp2(app, http2ServerOptions(app));
    const client = connectHttp2(url);
    const first = await ask(client, "/");
    const cookie = first.headers["set-cookie"]!.map((it) => it.split(";")[0]).join("; ");
    expect((await ask(client, "/", { headers: { cookie } })).body).toBe("2");
    expect((await ask1(url, "/", { headers: { cookie } })).body).toBe("2");
  });

  it("express-session keeps a session", async () => {
    const app = express();
    app.use(session({ secret: "s", resave: false, saveUninitialized: true }));
    app.use((req, res) => {
      const visits = req.session as unknown as { n?: number };
      visits.n = (visits.n ?? 0) + 1;
      res.send(String(visits.n));
    });
    const { url } = await listenHttp2(app, http2ServerOptions(app));
    const client = connectHttp2(url);
    const first = await ask(client, "/");
    const cookie = first.headers["set-cookie"]![0]!.split(";")[0]!;
    expect((await ask(client, "/", { headers: { cookie } })).body).toBe("2");
  });

  it("on-headers and on-finished are called, once", async () => {
    const finished: unknown[] = [];
    const app = appOf((_req, res) => {
      onHeaders(res, () => {
        res.setHeader("x-late", "1");
      });
      onFinished(res, (error) => finished.push(error));
      res.send("body");
    });
    const [two, one] = await both(app);
    expect(plain(two)).toEqual(plain(one));
    expect(two.headers["x-late"]).toBe("1");
    await until(() => finished.length === 2);
    expect(finished).toEqual([null, null]);
  });
});
