import type { RequestHandler } from "express";

const SAFE = new Set(["GET", "HEAD", "OPTIONS"]);

/** Refuses what pages of other sites make a browser send. Goes before body parsers, and before a method override. */
export const refuseForged: RequestHandler = (req, res, next) => {
  const site = req.get("Sec-Fetch-Site");
  const origin = req.get("Origin");
  const isOwn =
    site === undefined
      ? origin === undefined || origin === `${req.protocol}://${req.get("Host")}` // an older browser, or none
      : site === "same-origin" || site === "none";
  if (SAFE.has(req.method) || isOwn) next();
  else res.status(403).type("text/plain").send("This request may not be sent from another site.\n");
};
