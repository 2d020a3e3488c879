import compression from "compression";
import corsPackage from "cors";
import type { NextFunction, Request, Response } from "express";
import helmet from "helmet";
import morgan from "morgan";
import passport from "passport";
import {
  cache,
  chain,
  compress,
  cors,
  notFound,
  recover,
  requestContext,
  requestLog,
  requireScopes,
  securityHeaders,
} from "../../../src/index.js";
import { never } from "./never.js";
import { type Build, keys, limit, onError, sessions } from "./right-apps.js";

/** Each with the findings that it must give, in order. */
export const wrongApps: Record<string, [Build, ...string[]]> = {
  "cors after authenticate": [
    (app) => {
      app.use(keys(), cors());
      app.get("/", never);
      app.use(recover());
    },
    "fault cors-after-auth: 2 cors",
  ],
  "the cors package after passport": [
    (app) => {
      app.use(passport.initialize(), passport.authenticate("bearer"));
      app.use(corsPackage());
      app.get("/", never);
      app.use(onError);
    },
    "fault cors-after-auth: 3 cors",
  ],
  "cors in a router, after an auth check of the app": [
    (app, from) => {
      const api = from.Router();
      api.use(cors());
      api.get("/", never);
      app.use("/api", requireScopes("a"));
      app.use("/api", api);
      app.use(recover());
    },
    "fault cors-after-auth: 2.1 cors",
  ],
  "cors in a chain, after the auth check": [
    (app) => {
      app.use(chain(keys(), cors()).then(never));
      app.get("/", never);
      app.use(recover());
    },
    "fault cors-after-auth: 1.2 cors",
  ],
  "cors in a mounted app, after an auth check of the outer one": [
    (app, from) => {
      const api = from();
      api.use(cors());
      api.get("/", never);
      app.use(keys());
      app.use("/api", api);
      app.use(recover());
    },
    "fault cors-after-auth: 2.1 cors",
  ],
  "cors after a body parser": [
    (app, from) => {
      app.use(from.json(), cors());
      app.get("/", never);
      app.use(recover());
    },
    "fault cors-after-body-parser: 2 cors",
  ],
  "cors after both": [
    (app, from) => {
      app.use(from.urlencoded({ extended: true }), keys(), corsPackage());
      app.get("/", never);
      app.use(recover());
    },
    "fault cors-after-auth: 3 cors",
    "fault cors-after-body-parser: 3 cors",
  ],
  "cors after the routes": [
    (app) => {
      app.get("/", never);
      app.use(cors());
      app.use(notFound(), recover());
    },
    "fault cors-after-routes: 2 cors",
  ],
  "no error handler": [
    (app) => {
      app.use(securityHeaders());
      app.get("/", never);
    },
    "advice no-error-handler: 2 GET /",
  ],
  "an error handler before the routes": [
    (app) => {
      app.use(onError);
      app.get("/", never);
      app.post("/", never);
    },
    "fault error-handler-not-last: 1 onError",
  ],
  "an error handler before the last router": [
    (app, from) => {
      const late = from.Router();
      late.get("/", never);
      app.get("/", never);
      app.use(recover());
      app.use("/late", late);
    },
    "fault error-handler-not-last: 2 recover",
  ],
  "an error handler before a 404 that is an error": [
    (app) => {
      app.get("/", never);
      app.use(onError);
      app.use((_req, _res, next) => next(Object.assign(new Error("No"), { status: 404 })));
    },
    "fault error-handler-not-last: 2 onError",
  ],
  "recovery for a part only": [
    (app) => {
      app.get("/other", never);
      app.get("/api/a", never);
      app.use("/api", recover());
    },
    "advice recover-does-not-cover: 3 recover",
  ],
  "recovery in a router only": [
    (app, from) => {
      const api = from.Router();
      api.get("/", never);
      api.use(recover());
      app.use("/api", api);
      app.get("/", never);
    },
    "advice recover-does-not-cover: 1.2 recover",
  ],
  "an error handler to the right in a chain": [
    (app) => {
      app.use("/a", chain(never, recover()).then(never));
      app.get("/", never);
    },
    "advice recover-does-not-cover: 1.2 recover",
  ],
  "an error handler with a default parameter": [
    (app) => {
      app.get("/", never);
      app.use((err: Error, _req: Request, _res: Response, next: NextFunction = never) => next(err));
    },
    "fault error-handler-parameters: 2 a handler without a name",
  ],
  "an error handler with three parameters": [
    (app) => {
      app.get("/", never);
      app.use(function fail(err: unknown, req: unknown, res: unknown) {
        never.call([err, req, res]);
      } as never);
      app.use(recover());
    },
    "fault error-handler-parameters: 2 fail",
  ],
  "a log after authenticate": [
    (app) => {
      app.use(requestContext(), keys(), requestLog());
      app.get("/", never);
      app.use(recover());
    },
    "fault log-not-first: 3 requestLog",
  ],
  "morgan after the rate limit": [
    (app) => {
      app.use(limit(), morgan("dev"));
      app.get("/", never);
      app.use(recover());
    },
    "fault log-not-first: 2 morgan",
  ],
  "a log after the auth check of a part": [
    (app) => {
      app.use("/admin", keys());
      app.use(requestLog());
      app.get("/", never);
      app.use(recover());
    },
    "advice log-not-first: 2 requestLog",
  ],
  "pino-http's handler, by its shape, after authenticate": [
    (app) => {
      const logger = { info: never };
      const loggingMiddleware = (_logger: unknown, ..._rest: unknown[]) => never();
      const result = (req: Request, res: Response, next: NextFunction) =>
        loggingMiddleware(logger, req, res, next);
      app.use(keys(), Object.assign(result, { logger }));
      app.get("/", never);
      app.use(recover());
    },
    "fault log-not-first: 2 pino-http",
  ],
  "a log after cors": [
    (app) => {
      app.use(cors(), morgan("tiny"));
      app.get("/", never);
      app.use(recover());
    },
    "advice log-not-first: 2 morgan",
  ],
  "compression after the routes": [
    (app) => {
      app.get("/", never);
      app.use(compression());
      app.use(recover());
    },
    "fault compress-after-routes: 2 compression",
  ],
  "cache and compress after a router": [
    (app, from) => {
      const api = from.Router();
      api.get("/", never);
      app.use("/api", api);
      app.use(cache(), compress());
      app.use(notFound(), recover());
    },
    "fault cache-after-routes: 2 cache",
    "fault compress-after-routes: 3 compress",
  ],
  "compression at the end of a router": [
    (app, from) => {
      const api = from.Router();
      api.get("/x", never);
      api.use(compress());
      app.use("/api", api);
      app.get("/", never);
      app.use(recover());
    },
    "fault compress-after-routes: 1.2 compress",
  ],
  "helmet beside securityHeaders": [
    (app) => {
      app.use(helmet(), securityHeaders());
      app.get("/", never);
      app.use(recover());
    },
    "advice helmet-beside: 1 helmet",
  ],
  "the same concern twice": [
    (app) => {
      app.use(requestContext(), requestContext(), compress(), compression());
      app.get("/", never);
      app.use(recover());
    },
    "advice twice: 2 requestContext",
    "advice twice: 4 compression",
  ],
  "two logs that say the same": [
    (app) => {
      app.use(morgan("dev"), requestLog());
      app.get("/", never);
      app.use(recover(), recover());
    },
    "advice twice: 2 requestLog",
    "advice twice: 5 recover",
  ],
  "securityHeaders twice, once in a router": [
    (app, from) => {
      const common = from.Router();
      common.use(securityHeaders());
      app.use(common, securityHeaders());
      app.get("/", never);
      app.use(recover());
    },
    "advice twice: 2 securityHeaders",
  ],
  "the cors package reflecting, with credentials": [
    (app) => {
      app.use(corsPackage({ origin: true, credentials: true }));
      app.get("/", never);
      app.use(recover());
    },
    "fault cors-reflects-credentials: 1 cors",
  ],
  "a RegExp that lets everybody in, with credentials": [
    (app) => {
      app.use(corsPackage({ origin: ["https://a.example", /^https:/], credentials: true }));
      app.get("/", never);
      app.use(recover());
    },
    "fault cors-reflects-credentials: 1 cors",
  ],
  "credentials for all under a country's second level": [
    (app) => {
      app.use(cors({ origin: "https://*.co.uk", credentials: true }));
      app.get("/", never);
      app.use(recover());
    },
    "fault cors-public-suffix: 1 cors",
  ],
  "credentials for all customers of a host": [
    (app) => {
      app.use(corsPackage({ origin: /^https:\/\/.+\.vercel\.app$/, credentials: true }));
      app.get("/", never);
      app.use(recover());
    },
    "fault cors-public-suffix: 1 cors",
  ],
  "a body parser before the rate limit": [
    (app, from) => {
      app.use(from.json(), limit());
      app.get("/", never);
      app.use(recover());
    },
    "fault body-parser-before-rate-limit: 2 express-rate-limit",
  ],
  "a body parser before the rate limit of a part": [
    (app, from) => {
      app.use(from.json());
      app.use("/login", limit());
      app.post("/login", never);
      app.use(recover());
    },
    "advice body-parser-before-rate-limit: 2 express-rate-limit",
  ],
  "a 404 before the routes": [
    (app) => {
      app.use(notFound());
      app.get("/", never);
      app.use(recover());
    },
    "fault not-found-before-routes: 1 notFound",
  ],
  "a person's own 404 before a router": [
    (app, from) => {
      const api = from.Router();
      api.get("/", never);
      app.use((_req, res) => void res.status(404).json({ error: "no" }));
      app.use("/api", api);
      app.use(recover());
    },
    "fault not-found-before-routes: 1 the 404 handler",
  ],
  "a 404 in a router above others": [
    (app, from) => {
      const first = from.Router();
      first.get("/a", never);
      first.use(notFound());
      app.use(first);
      app.get("/b", never);
      app.use(recover());
    },
    "fault not-found-before-routes: 1.2 notFound",
  ],
  "a session before the files": [
    (app, from) => {
      app.use(sessions(), passport.session());
      app.use("/files", from.static("public"));
      app.get("/", never);
      app.use(recover());
    },
    "advice session-before-static: 3 serve-static",
  ],
  "a proxy's header, read by hand": [
    (app) => {
      app.get("/", function whoIs(req, res) {
        res.send(req.headers["x-forwarded-for"] ?? req.get("X-Real-IP"));
      });
      app.use(recover());
    },
    "advice trust-proxy-unset: 1.1 whoIs",
  ],
  "nearly everything wrong": [
    (app, from) => {
      app.use(onError);
      app.use(from.json(), keys(), morgan("dev"), cors());
      app.get("/", never);
      app.use(compress());
    },
    "fault cors-after-auth: 5 cors",
    "fault cors-after-body-parser: 5 cors",
    "fault log-not-first: 4 morgan",
    "fault compress-after-routes: 7 compress",
    "fault error-handler-not-last: 1 onError",
  ],
};
