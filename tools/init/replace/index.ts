import { translateCompression } from "./compression.js";
import { translateTimeout } from "./connect-timeout.js";
import { translateCors } from "./cors.js";
import { translateHelmet } from "./helmet.js";
import { translateMorgan } from "./morgan.js";
import type { Translate } from "./options.js";

/** The packages that are replaced, and how their calls are translated. */
export const REPLACED: Readonly<Record<string, Translate>> = {
  cors: translateCors,
  helmet: translateHelmet,
  morgan: translateMorgan,
  compression: translateCompression,
  "connect-timeout": translateTimeout,
};

/** Packages that stay as they are, and the page that says what to write instead. */
export const STAYING: Readonly<Record<string, string>> = {
  "pino-http": "requestLog takes a pino logger: docs/request-log.md#coming-from-pino-http",
  "express-pino-logger": "requestLog takes a pino logger: docs/request-log.md#coming-from-pino-http",
  "express-winston": "requestLog takes a winston logger: docs/request-log.md#coming-from-express-winston",
  errorhandler: "recover does its work: docs/recover.md",
  "express-jwt": "jwt is a scheme of authenticate: docs/jwt.md",
  apicache: "cache does its work: docs/cache.md",
  csurf: "csrf does its work without tokens: docs/csrf.md",
  "@godaddy/terminus": "serve does its work: docs/serve.md#coming-from-others",
  "http-terminator": "serve does its work: docs/serve.md#coming-from-others",
  stoppable: "serve does its work: docs/serve.md#coming-from-others",
};

/** Packages that write a line for each request. */
export const LOGGERS: ReadonlySet<string> = new Set([
  "morgan",
  "pino-http",
  "express-pino-logger",
  "express-winston",
  "express-bunyan-logger",
  "winston-express-middleware",
]);
