import type { RequestHandler } from "express";

/** Answers with 503 while so many requests wait for their answer. Goes before everything that costs time. */
export const shedLoad = (limit: number): RequestHandler => {
  let inFlight = 0;
  return (_req, res, next) => {
    if (inFlight >= limit) {
      const seconds = 1 + Math.floor(Math.random() * 5); // not all clients come back together
      res.status(503).set("Retry-After", String(seconds)).set("Cache-Control", "no-store");
      res.send("The server is too busy.\n");
      return;
    }
    inFlight++;
    res.once("close", () => {
      inFlight--;
    });
    next();
  };
};
