import type { Request, RequestHandler } from "express";

/** Lets a request through if `isAuthorized` says so; else it is a 403, and nothing after it runs. On a route. */
export function requireAuthorization(isAuthorized: (req: Request) => boolean): RequestHandler {
  return (req, res, next) => {
    if (isAuthorized(req) !== true) {
      res.status(403).type("text/plain").send("Forbidden\n");
      return;
    }
    next();
  };
}
