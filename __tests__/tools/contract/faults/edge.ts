import express from "express";
import { bodyLimit, notFound } from "../../../../src/index.js";
import { LIMIT, limitAt } from "../demo-parts.js";
import { atHead, before, type Plant, remove, replace } from "./planting.js";

export const edgeFaults: Record<string, Plant> = {
  "no check for forged requests": remove("csrf"),
  "a check for forged requests by the types of forms alone": replace("csrf", () => (req, res, next) => {
    const isForm =
      req.is(["urlencoded", "multipart", "text/plain"]) !== false ||
      /form|plain/.test(req.get("content-type") ?? "");
    if (
      isForm &&
      (req.get("sec-fetch-site") ?? "cross-site") === "cross-site" &&
      req.get("origin") !== undefined
    )
      res.status(403).end();
    else next();
  }),
  "a check for forged requests that refuses what is no browser": before("csrf", (req, res, next) => {
    if (req.method === "POST" && req.path === "/hello" && req.headers.origin === undefined)
      res.status(403).end();
    else next();
  }),
  "no check of the host": remove("hosts"),
  "a host that any client names": before("hosts", (req, _res, next) => {
    req.headers.host = req.get("x-forwarded-host") ?? req.headers.host;
    next();
  }),
  "a check of the first host alone": replace("hosts", () => (req, res, next) => {
    if (/^(?:127\.0\.0\.1|localhost)(?::|$)/.test(req.headers.host ?? "")) next();
    else res.status(421).end();
  }),
  "a 404 for every other method": replace("notFound", () => notFound({ methodNotAllowed: false }) as never),
  "no limit of bodies": remove("limit"),
  "a limit of declared lengths alone": replace("limit", () =>
    limitAt("/limited", (req, res, next) => {
      if (Number(req.headers["content-length"]) > LIMIT) res.status(413).set("Connection", "close").end();
      else next();
    }),
  ),
  "a limit of chunked bodies alone": before("limit", (req, _res, next) => {
    if (req.path === "/limited" && Number(req.headers["content-length"]) > LIMIT)
      req.headers["content-length"] = undefined;
    next();
  }),
  "a body that is read to its end before it is refused": replace("limit", () =>
    limitAt("/limited", async (req, res, next) => {
      if (Number(req.headers["content-length"]) > LIMIT) return void bodyLimit(LIMIT)(req, res, next);
      const chunks: Buffer[] = [];
      for await (const chunk of req) chunks.push(chunk as Buffer);
      const { length } = Buffer.concat(chunks);
      if (length > LIMIT) res.status(413).set("Connection", "close").end();
      else res.json({ bytes: length });
    }),
  ),
  "a limit that keeps the connection": before(
    "context",
    atHead((res) => {
      if (res.statusCode === 413) res.setHeader("Connection", "keep-alive");
    }),
  ),
  "a parser's limit alone": replace("limit", () =>
    limitAt("/limited", express.raw({ type: () => true, limit: LIMIT })),
  ),
  "a limit below what is promised": replace("limit", () => limitAt("/limited", bodyLimit(LIMIT - 1))),
};
