import { readFile } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import compression from "compression";
import cors from "cors";
import type express5 from "express";
import type { Request, RequestHandler, Response } from "express";
import session from "express-session";
import helmet from "helmet";
import morgan from "morgan";

const files = join(__dirname, "files");

/** Everything an Express app does, in one app that knows nothing of HTTP/2. */
export function wholeApp(express: typeof express5, log: string[] = []) {
  const app = express();
  app.set("trust proxy", "loopback");
  app.set("env", "production"); // error pages without stacks
  app.engine("txt", (path, options, done) => {
    readFile(path, "utf8", (error, text) => {
      done(error, text?.slice(0, 5) + (options as { name: string }).name);
    });
  });
  app.set("views", files);
  Object.assign(app.request, {
    shout(this: Request) {
      return this.path.toUpperCase();
    },
  });
  Object.defineProperty(app.response, "place", {
    get(this: Response) {
      return `${this.req.method} ${this.req.originalUrl}`;
    },
  });

  app.use(
    morgan(":method :url :status :res[content-type]", { stream: { write: (line) => void log.push(line) } }),
  );
  app.use("/middle", helmet(), cors(), compression({ threshold: 0 }));
  app.use(
    "/session",
    session({ secret: "s", genid: () => "fixed", resave: false, saveUninitialized: false, name: "sid" }),
  );
  app.use("/static", express.static(files));
  app.use("/static-here", express.static(files, { fallthrough: false }));
  app.use("/body", express.json(), express.urlencoded({ extended: true }), express.text());
  app.use("/raw", express.raw({ type: "*/*", limit: "1mb" }));

  app.get("/send", (_req, res) => void res.send("héllo"));
  app.get("/json", (_req, res) => void res.status(201).json({ a: [1, "ü"] }));
  app.get("/jsonp", (_req, res) => void res.jsonp({ a: 1 }));
  app.get("/status", (_req, res) => void res.sendStatus(418));
  app.get("/empty", (_req, res) => void res.status(204).end());
  app.get("/bare", (_req, res) => void res.end("bare"));
  app.get("/bare-empty", (_req, res) => void res.status(202).end());
  app.all("/written", (_req, res) => {
    res.write("one ");
    res.write(Buffer.from("two "));
    res.end("three");
  });
  app.get("/not-modified-with-body", (_req, res) => void res.status(304).end("body"));
  app.all("/piped", (_req, res) => void Readable.from(["a", "b", "c"], { objectMode: false }).pipe(res));
  app.all("/pipeline", async (_req, res) => {
    await pipeline(Readable.from(["x".repeat(100_000), "y"]), res);
  });
  app.get("/redirect", (_req, res) => res.redirect("/send?a=1"));
  app.get("/redirect-301", (_req, res) => res.redirect(301, "../x"));
  app.get("/cookies", (_req, res) => {
    res.cookie("a", "1", { httpOnly: true }).cookie("b", "2").clearCookie("c").send("set");
  });
  app.get("/headers", (req, res) => {
    res.append("X-A", "1").append("X-A", ["2", "3"]).vary("Accept").links({ next: "/n" }).location("/l");
    res
      .set("X-Number", 5 as never)
      .type("txt")
      .attachment("€.txt");
    res.send(
      JSON.stringify([
        res.get("x-a"),
        res.getHeaderNames().length > 3,
        req.get("x-in"),
        req.header("Referrer"),
      ]),
    );
  });
  app.get("/who", (req, res) => {
    const host = "lazyrouter" in app ? req.get("host") : req.host; // Express 4 has it deprecated
    const { hostname, subdomains, protocol, secure, ip, ips, xhr, path, originalUrl, baseUrl, query } = req;
    res.json({
      host,
      hostname,
      subdomains,
      ip,
      ips,
      xhr,
      path,
      originalUrl,
      baseUrl,
      query,
      isTls: secure === (protocol === "https"),
    });
  });
  app.get(
    "/in",
    (req, res) =>
      void res.json(
        Object.entries(req.headers)
          .filter(([name]) => name !== "connection")
          .sort(),
      ),
  );
  app.get("/format", (_req, res) => {
    res.format({ text: () => res.send("text"), html: () => res.send("<p>"), json: () => res.send({ a: 1 }) });
  });
  app.get("/accepts", (req, res) => {
    res.json([
      req.accepts("html", "json"),
      req.acceptsEncodings(),
      req.acceptsLanguages("de", "en"),
      req.is("json"),
    ]);
  });
  app.get("/sent", (_req, res) => res.sendFile(join(files, "digits.txt"), { maxAge: 1000 }));
  app.get("/download", (_req, res) => res.download(join(files, "digits.txt"), "number.txt"));
  app.get("/sent-missing", (_req, res) => res.sendFile(join(files, "none.txt")));
  app.get("/render", (_req, res) => res.render("digits.txt", { name: "you" }));
  app.get("/events", (_req, res) => {
    res.type("text/event-stream").set({ "Cache-Control": "no-cache", Connection: "keep-alive" });
    res.flushHeaders();
    setTimeout(() => {
      res.write("data: 1\n\n");
      setTimeout(() => res.end("data: 2\n\n"), 2);
    }, 2);
  });
  app.get("/hints", (_req, res) => {
    res.writeEarlyHints(
      { link: ["</a.css>; rel=preload; as=style", "</b.js>; rel=preload; as=script"] },
      () => {
        res.send("hinted");
      },
    );
  });
  app.get(
    "/extended",
    (req, res) =>
      void res.json([
        (req as never as { shout(): string }).shout(),
        (res as never as { place: string }).place,
      ]),
  );
  app.get(
    "/later",
    (req, res) =>
      void res.json([
        (req as never as { later?: string }).later ?? null,
        typeof (res as never as { later?: object }).later,
      ]),
  );
  app.param("id", (req, _res, next, id) => {
    req.params.id = `<${id}>`;
    next();
  });
  app.get("/items/:id", (req, res) => void res.send(req.params.id));
  app.get(
    "/locals",
    (_req, res, next) => {
      res.locals.a = 1;
      next();
    },
    (_req, res) => void res.json(res.locals),
  );
  app.get("/fresh", (req, res) => void res.set("ETag", '"v1"').send(req.fresh ? "unreachable" : "stale"));
  app
    .route("/route")
    .get((_req, res) => void res.send("got"))
    .put((_req, res) => void res.send("put"));

  app.post("/body", (req, res) => void res.json({ body: req.body as unknown, type: req.is("*/*") }));
  app.all(
    "/body/any",
    (req, res) => void res.json({ has: req.body !== undefined, body: req.body as unknown }),
  );
  app.post("/raw", (req, res) => void res.json({ length: (req.body as Buffer).length }));
  app.post("/unread", (_req, res) => void res.send("not read"));
  app.post("/streamed", async (req, res) => {
    let length = 0;
    for await (const chunk of req) length += (chunk as Buffer).length;
    res.send(String(length));
  });
  app.get("/session", (req, res) => {
    const visits = req.session as unknown as { n?: number };
    visits.n = (visits.n ?? 0) + 1;
    res.send(`visit ${visits.n}`);
  });
  app.get("/middle/json", (_req, res) => void res.json({ text: "x".repeat(2000) }));
  app.get("/middle/stream", (_req, res) => {
    res.type("text");
    res.write("a".repeat(1000));
    setImmediate(() => res.end("b"));
  });

  addFailures(app);
  addInner(app, express);

  app.use("/last", (_req, res) => void res.send("last"));
  app.use("/own-error", (_req, _res, next) => next(Object.assign(new Error("own"), { status: 422 })));
  app.use("/own-error", ((error, _req, res, _next) => {
    res.status(error.status).json({ caught: error.message });
  }) as express5.ErrorRequestHandler);
  return app;
}

function addFailures(app: express5.Express) {
  const plain = (message: string) => Object.assign(new Error(message), { stack: message });
  app.get("/throws", () => {
    throw plain("thrown");
  });
  app.get("/rejects", async () => {
    throw plain("rejected");
  });
  app.get("/status-error", (_req, _res, next) =>
    next(Object.assign(plain("gone"), { status: 410, headers: { "X-E": "1" } })),
  );
  const forms: Record<string, RequestHandler> = {
    "bad-value": (_req, res) => void res.set("X-A", "a\nb").send("x"),
    "bad-name": (_req, res) => void res.set("a b", "c").send("x"),
    "zero-byte": (_req, res) => void res.set("X-A", "a\0x-injected\0b").send("x"),
    "wide-value": (_req, res) => void res.set("X-A", "\u010a").send("x"),
    "bad-chunk": (_req, res) => void res.end(5),
    "null-chunk": (_req, res) => void res.write(null),
    twice: (_req, res) => {
      res.send("once");
      res.set("X-B", "late");
    },
  };
  for (const [name, handler] of Object.entries(forms)) app.get(`/form/${name}`, handler);
  app.use("/form", ((error, _req, res, next) => {
    if (res.headersSent) return void next;
    res.status(500).json({ code: error.code });
  }) as express5.ErrorRequestHandler);
}

function addInner(app: express5.Express, express: typeof express5) {
  const isOf =
    (own: express5.Express): RequestHandler =>
    (req, res) => {
      res.json({
        own: req.app === own && res.app === own,
        baseUrl: req.baseUrl,
        url: req.url,
        x: res.locals.x ?? null,
      });
    };
  const innermost = express();
  Object.assign(innermost.request, { shout: () => "from the innermost" });
  innermost.disable("x-powered-by");
  innermost.get("/here", isOf(innermost));
  innermost.get(
    "/shout",
    (req, res) =>
      void res.json([
        (req as never as { shout(): string }).shout(),
        (res as never as { place: string }).place,
      ]),
  );
  innermost.get("/throws", () => {
    throw Object.assign(new Error("inner"), { status: 503, stack: "inner" });
  });
  innermost.post("/body", express.json(), (req, res) => void res.json(req.body));

  const inner = express();
  inner.use((_req, res, next) => {
    res.locals.x = "inner";
    next();
  });
  inner.use("/more", innermost);
  inner.get("/here", isOf(inner));
  inner.get("/more/after", isOf(inner));
  inner.get("/slow", (_req, _res, next) => void setTimeout(next, 2));

  const last = express();
  last.get("/only", isOf(last));

  app.use("/inner", inner);
  app.use("/inner", isOf(app)); // a request that it passes on

  const router = express.Router({ mergeParams: true });
  router.get("/deep", (req, res) => void res.json([req.baseUrl, req.params]));
  router.use(express.Router().get("/deeper", isOf(app)));
  const routed = express();
  routed.get("/here", isOf(routed));
  router.use("/app", routed);
  app.use("/router/:name", router);
  const hidden = express();
  hidden.get("/here", isOf(hidden));
  const withinHidden = express();
  withinHidden.get("/in", isOf(withinHidden));
  hidden.use(withinHidden);
  app.use("/hidden", (req, res, next) => hidden(req, res, next)); // as vhost calls it
  app.use(last);
}
