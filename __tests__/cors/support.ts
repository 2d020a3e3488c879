import type { ErrorRequestHandler, Express, RequestHandler } from "express";
import type { CorsOptions } from "../../src/cors/index.js";
import { cors } from "../../src/cors/index.js";
import type { expressVersions } from "../support/express.js";

export const A = "https://a.example";
export const B = "https://b.example";
export const PREFLIGHT = { Origin: A, "Access-Control-Request-Method": "PUT" };
/** The Vary of an answered preflight. */
export const PREFLIGHT_VARY = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";

/** Only the Access-Control-* headers of a response. */
export function granted(headers: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith("access-control-")));
}

/** An app with `cors(options)`, then `more`, then a handler that echoes the request. */
export function appOf(
  express: (typeof expressVersions)[number][1],
): (options?: CorsOptions, ...more: RequestHandler[]) => Express {
  return (options, ...more) => {
    const made = express();
    made.use(cors(options), ...more);
    made.use((req, res) => void res.send(`${req.method} reached`));
    return made;
  };
}

export const answerErrors: ErrorRequestHandler = (_error, _req, res, _next) => {
  res.status(500).send("handled");
};
