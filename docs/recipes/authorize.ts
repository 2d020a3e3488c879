import type { Request, RequestHandler } from "express";

/** Answers 403 unless `isAuthorized` returns true; then nothing after it runs. Goes on a route. */
export function requireAuthorization(isAuthorized: (req: Request) => boolean): RequestHandler {
  return (req, res, next) => {
    if (isAuthorized(req) !== true) {
      res.status(403).type("text/plain").send("Forbidden\n");
      return;
    }
    next();
  };
}
