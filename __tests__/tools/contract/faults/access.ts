import express from "express";
import { atHead, before, on, type Plant } from "./planting.js";

export const accessFaults: Record<string, Plant> = {
  "a 401 without a challenge": before(
    "context",
    atHead((res) => {
      if (res.statusCode === 401) res.removeHeader("WWW-Authenticate");
    }),
  ),
  "a 401 that caches keep": before(
    "context",
    atHead((res) => {
      if (res.statusCode === 401) res.set("Cache-Control", "public, max-age=60");
    }),
  ),
  "a protected route that only guards GET": before(
    "routes",
    on("/admin", (req, res, next) => (req.method === "POST" ? void res.send("Done\n") : next())),
  ),
  "any token will do": before(
    "routes",
    on("/admin", (req, res, next) =>
      req.headers.authorization === undefined
        ? next()
        : void res.json({ welcome: req.headers.authorization }),
    ),
  ),
  "no user gets in": before(
    "routes",
    on("/admin", (_req, res) => void res.status(401).set("WWW-Authenticate", "Bearer").end()),
  ),
  "a protected route that is open": before(
    "routes",
    on("/admin", (_req, res) => void res.json({ welcome: "all" })),
  ),
  "bodies read before the check of credentials": before(
    "routes",
    express.raw({ type: () => true, limit: "1gb" }),
  ),
};
