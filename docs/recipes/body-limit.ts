import type { RequestHandler } from "express";

/** Refuses bodies that are longer than the limit, for every reader. Goes before everything that reads a body. */
export const limitBody =
  (limit: number): RequestHandler =>
  (req, res, next) => {
    let bytes = 0;
    const refuse = () => {
      if (!res.headersSent) res.status(413).set("Connection", "close").send("The body is too large.\n");
    };
    if (Number(req.headers["content-length"] ?? 0) > limit) {
      refuse();
      return;
    }
    const { push } = req;
    req.push = (chunk, encoding) => {
      bytes += chunk?.length ?? 0;
      if (bytes <= limit) return push.call(req, chunk, encoding);
      refuse();
      return true; // the rest is dropped, and the handler waits until the connection closes
    };
    next();
  };
