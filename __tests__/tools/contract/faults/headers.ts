import { securityHeaders } from "../../../../src/index.js";
import { atHead, before, move, type Plant, remove, replace } from "./planting.js";

export const headerFaults: Record<string, Plant> = {
  "no security headers": remove("headers"),
  "security headers after the routes": move("headers", "notFound"),
  "security headers lost on errors": before(
    "headers",
    atHead((res) => {
      if (res.statusCode >= 500) res.removeHeader("Content-Security-Policy");
    }),
  ),
  "security headers after CORS": move("headers", "cache"),
  "a weak frame policy": replace("headers", () => {
    const strict = securityHeaders();
    return (req, res, next) =>
      strict(req, res, () => {
        res.set("X-Frame-Options", "ALLOWALL");
        next();
      });
  }),
  "X-Powered-By": before(
    "context",
    atHead((res) => res.set("X-Powered-By", "Express")),
  ),
  "a Server header with a version": before(
    "context",
    atHead((res) => res.set("Server", "nginx/1.2.3")),
  ),
};
