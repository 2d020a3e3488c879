import { cors } from "../../../../src/index.js";
import { ALLOWED } from "../demo-parts.js";
import { atHead, before, move, on, type Plant, remove, replace } from "./planting.js";

export const corsFaults: Record<string, Plant> = {
  "no CORS at all": remove("cors"),
  "CORS after the routes": move("cors", "notFound"),
  "CORS headers lost on errors": before(
    "cors",
    atHead((res) => {
      if (res.statusCode >= 500) res.removeHeader("Access-Control-Allow-Origin");
    }),
  ),
  "CORS headers lost on a 404": before(
    "cors",
    atHead((res) => {
      if (res.statusCode === 404) res.removeHeader("Access-Control-Allow-Origin");
    }),
  ),
  "any origin echoed, with credentials": replace("cors", () => (req, res, next) => {
    if (req.headers.origin !== undefined) res.set("Access-Control-Allow-Origin", req.headers.origin);
    res.set({ "Access-Control-Allow-Credentials": "true", "Access-Control-Expose-Headers": "X-Request-Id" });
    res.vary("Origin");
    if (req.method !== "OPTIONS") return next();
    res.set("Access-Control-Allow-Methods", "PUT, PATCH, DELETE");
    res.set("Access-Control-Allow-Headers", "content-type, authorization").status(204).end();
  }),
  "every origin and credentials at once": before(
    "cors",
    atHead((res) => {
      if (res.hasHeader("Access-Control-Allow-Origin")) res.set("Access-Control-Allow-Origin", "*");
      res.set("Access-Control-Allow-Credentials", "true");
    }),
  ),
  "an origin compared by its beginning": replace("cors", () =>
    cors({
      origin: (origin) => origin.startsWith(ALLOWED),
      credentials: true,
      exposedHeaders: "X-Request-Id",
    }),
  ),
  "an origin compared by its end": replace("cors", () =>
    cors({
      origin: (origin) => origin.endsWith("app.example"),
      credentials: true,
      exposedHeaders: "X-Request-Id",
    }),
  ),
  "no Vary: Origin": before(
    "cors",
    atHead((res) => res.set("Vary", "Accept")),
  ),
  "CORS without credentials": replace("cors", () =>
    cors({ origin: ALLOWED, exposedHeaders: "X-Request-Id" }),
  ),
  "CORS that exposes no header": replace("cors", () => cors({ origin: ALLOWED, credentials: true })),
  "CORS that grants no PATCH": replace("cors", () =>
    cors({
      origin: ALLOWED,
      credentials: true,
      exposedHeaders: "X-Request-Id",
      methods: ["GET", "PUT", "DELETE"],
    }),
  ),
  "CORS that grants no Authorization": replace("cors", () =>
    cors({
      origin: ALLOWED,
      credentials: true,
      exposedHeaders: "X-Request-Id",
      allowedHeaders: "Content-Type",
    }),
  ),
  "the check of credentials before CORS": before(
    "cors",
    on("/admin", (req, res, next) => {
      if (req.headers.authorization !== undefined) next();
      else res.status(401).set("WWW-Authenticate", "Bearer").end();
    }),
  ),
  "a check of credentials that preflights pass": before(
    "cors",
    on("/admin", (req, res, next) => {
      if (req.headers["access-control-request-method"] === undefined) next();
      else res.json({ welcome: "owner" });
    }),
  ),
  "a preflight that runs the handler": before("cors", (req, _res, next) => {
    if (req.headers["access-control-request-method"] !== undefined) req.method = "GET";
    next();
  }),
};
