import type { RequestHandler } from "express";

/** Logs method, path, status and duration of each request when it ends. Goes first in the app. */
export const logRequests: RequestHandler = (req, res, next) => {
  const start = performance.now();
  const { method, path } = req;
  res.once("close", () => {
    const durationMs = (performance.now() - start).toFixed(3);
    console.log(`${method} ${path} ${res.writableFinished ? res.statusCode : "aborted"} ${durationMs} ms`);
  });
  next();
};
