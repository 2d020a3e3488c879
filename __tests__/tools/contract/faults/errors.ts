import { answerErrors, atHead, before, beforeRecover, on, type Plant, replace } from "./planting.js";

export const errorFaults: Record<string, Plant> = {
  "an error page with the stack": answerErrors((error, _req, res) =>
    res.status(500).json({ stack: error.stack }),
  ),
  "an error page with the message": answerErrors((error, _req, res) =>
    res.status(500).json({ message: error.message }),
  ),
  "errors answered with 200": answerErrors((_error, _req, res) => void res.json({ ok: false })),
  "an error that nobody answers": answerErrors(() => {}),
  "a route that is gone": before(
    "routes",
    on("/hello", (_req, res) => void res.status(410).send("Gone\n")),
  ),
  "a 404 that is a 200": replace("notFound", () => (_req, res) => void res.send("Oops\n")),
  "a 404 with more bytes than it says": replace("notFound", () => (_req, res) => {
    const { socket } = res;
    res.status(404).end("Not here", () => setImmediate(() => socket?.write("Not here")));
  }),
  "a 404 with a file's path": replace(
    "notFound",
    () => (_req, res) => void res.status(404).send("ENOENT: /srv/shop/public/index.js"),
  ),
  "a 404 that repeats its URL": replace(
    "notFound",
    () => (req, res) =>
      void res
        .status(404)
        .send(`<p>There is no ${req.path.replaceAll("%3C", "<").replaceAll("%3E", ">")}</p>`),
  ),
  "a URL that cannot be decoded is a 500": before("routes", (req, _res, next) => {
    try {
      decodeURIComponent(req.path);
      next();
    } catch {
      next(new Error("bad path"));
    }
  }),
  "a connection closed under the client's upload": answerErrors((error, req, res, next) => {
    if (req.path !== "/upload") return next(error);
    res.writeHead(500, { "Content-Length": 0, Connection: "close" });
    res.end(() => req.socket.destroy());
  }),
  "half an answer with a proper end": beforeRecover((error, _req, res, next) => {
    if (res.headersSent) res.end();
    else next(error);
  }),
  "a second answer after the error's": answerErrors((_error, _req, res) => {
    const { socket } = res;
    res
      .status(500)
      .end("Sorry", () =>
        setImmediate(() => socket?.write("HTTP/1.1 500 Again\r\nContent-Length: 0\r\n\r\n")),
      );
  }),
  "no timeout": before(
    "more",
    on("/late", (_req, res) => void setTimeout(() => res.send("Late\n"), 120)),
  ),
  "a timeout's answer that caches keep": before(
    "context",
    atHead((res) => {
      if (res.statusCode === 503) res.set("Cache-Control", "max-age=60");
    }),
  ),
  "a late write that goes out": before(
    "more",
    on("/late", (_req, res) => {
      const { socket } = res;
      res.status(503).set("Cache-Control", "no-store").send("Too slow\n");
      setTimeout(() => socket?.write("Too late\n"), 100);
    }),
  ),
  "HEAD without GET's headers": before("routes", (req, res, next) => {
    if (req.method === "HEAD" && req.path === "/hello") res.type("json").end();
    else next();
  }),
  "HEAD that has no route": before("routes", (req, res, next) => {
    if (req.method === "HEAD") res.status(405).end();
    else next();
  }),
  "HEAD with a body": before("context", (req, res, next) => {
    if (req.method === "HEAD") res.once("finish", () => req.socket.write("Hello"));
    next();
  }),
};
