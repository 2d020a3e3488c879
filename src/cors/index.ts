import type { Request, RequestHandler } from "express";
import { Checker } from "../config/check.js";
import { addVary } from "../http/vary.js";

export interface CorsOptions {
  readonly origin?:
    | string
    | readonly string[]
    | ((origin: string, req: Request) => boolean | Promise<boolean>)
    | undefined;
  readonly methods?: string | readonly string[] | undefined;
  readonly allowedHeaders?: string | readonly string[] | undefined;
  readonly exposedHeaders?: string | readonly string[] | undefined;
  readonly credentials?: boolean | undefined;
  readonly maxAge?: number | undefined;
}
const KNOWN = ["origin", "methods", "allowedHeaders", "exposedHeaders", "credentials", "maxAge"];
const ALL = "GET, POST, OPTIONS, PUT, DELETE, HEAD, PATCH";

export function cors(options?: CorsOptions): RequestHandler {
  const checker = Checker.of("cors()", options, KNOWN);
  checker.integer("maxAge", { min: 0, max: 86_400, unit: "seconds" });
  checker.done();
  const { origin = "*", credentials = false, exposedHeaders } = (options ?? {}) as CorsOptions;
  const exposed = exposedHeaders === undefined ? undefined : String(exposedHeaders);
  const allowed = new Set(typeof origin === "function" ? [] : [origin].flat());

  return function cors(req, res, next) {
    const sent = req.headers.origin;
    const open = allowed.has("*");
    if (!open) addVary(res, "Origin");
    if (open || (sent !== undefined && allowed.has(sent))) {
      res.setHeader("Access-Control-Allow-Origin", open ? "*" : sent!);
      if (credentials) res.setHeader("Access-Control-Allow-Credentials", "true");
      if (exposed) res.setHeader("Access-Control-Expose-Headers", exposed);
      if (req.method === "OPTIONS" && (open || req.headers["access-control-request-method"])) {
        res.setHeader("Access-Control-Allow-Methods", ALL);
        res.setHeader(
          "Access-Control-Allow-Headers",
          open ? "*" : (req.headers["access-control-request-headers"] ?? ""),
        );
        res.statusCode = open ? 200 : 204;
        return void res.end();
      }
    }
    next();
  };
}
