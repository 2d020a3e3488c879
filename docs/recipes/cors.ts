import type { RequestHandler } from "express";

/** Lets every origin read the API, and answers every OPTIONS request. Goes before the router and any auth check. */
export const enableCors: RequestHandler = (req, res, next) => {
  res.setHeader("Access-Control-Allow-Origin", "*");
  res.setHeader("Access-Control-Allow-Methods", "GET, POST, OPTIONS, PUT, DELETE, HEAD, PATCH");
  res.setHeader("Access-Control-Allow-Headers", "*");
  if (req.method === "OPTIONS") {
    res.status(200).end();
    return;
  }
  next();
};
