import { notFound } from "../../../../src/index.js";
import { before, type Plant, remove, replace } from "./planting.js";

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
};
