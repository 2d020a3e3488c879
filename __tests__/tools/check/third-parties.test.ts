import compression from "compression";
import cookieSession from "cookie-session";
import corsPackage from "cors";
import type expressModule from "express";
import type { NextFunction, Request, Response } from "express";
import { expressjwt } from "express-jwt";
import { rateLimit } from "express-rate-limit";
import session from "express-session";
import expressWinston from "express-winston";
import helmet from "helmet";
import morgan from "morgan";
import multer from "multer";
import { pinoHttp } from "pino-http";
import winston from "winston";
import * as portico from "../../../src/index.js";
import { checkPipeline } from "../../../tools/check/index.js";
import { expressVersions } from "../../support/express.js";
import { never } from "./never.js";
import { keys, limit, onError } from "./right-apps.js";

type Build = (app: expressModule.Express, from: typeof expressModule) => void;
const { cors, recover, requestLog } = portico;
const oldRateLimit = require("express-rate-limit-5") as (options?: object) => expressModule.RequestHandler;

describe.each(expressVersions)("%s", (version, express) => {
  function found(build: Build): string[] {
    const app = express();
    build(app, express);
    return checkPipeline(app).map(({ rule, level, at }) => `${level} ${rule}: ${at}`);
  }

  const { cache, compress, requestContext, securityHeaders, timeout } = portico;
  const OURS = {
    authenticate: portico.authenticate,
    authorize: portico.authorize,
    cache,
    compress,
    cors,
    cspReports: portico.cspReports,
    notFound: portico.notFound,
    portico: portico.portico,
    recover,
    requestContext,
    requestLog,
    requireScopes: portico.requireScopes,
    securityHeaders,
    timeout,
  };

  it.each<[string, unknown]>([
    ...Object.entries(OURS),
    ["cors", corsPackage],
    ["helmet", helmet],
    ["morgan", morgan],
    ["compression", compression],
    ["session", session],
    ["cookieSession", cookieSession],
    ["rateLimit", rateLimit],
    ["RateLimit", oldRateLimit],
    ["expressjwt", expressjwt],
    ["pinoHttp", pinoHttp],
    ["multer", multer],
    ["json", express.json],
    ["urlencoded", express.urlencoded],
  ])("finds that %s is not called", (name, factory) => {
    const app = express();
    app.use(factory as never);
    app.get("/", never);
    app.use(recover());
    const [first, ...rest] = checkPipeline(app);
    expect(rest).toEqual([]);
    expect(first).toMatchObject({ rule: "not-called", level: "fault" });
    expect(first!.message.toLowerCase()).toContain(`${name.toLowerCase()} is not called`);
  });

  it("does not take an app's own handler for a factory, whatever its name", () => {
    expect(
      found((app) => {
        app.use(function cors(_req: Request, res: Response) {
          res.send("describeHandler");
        });
        app.use(function json(req: Request) {
          req.resume();
        });
        app.get("/", never);
        app.use(recover());
      }),
    ).toEqual([]);
  });

  it("finds express-jwt above cors: its 401 cannot be read", () => {
    expect(
      found((app) => {
        app.use(expressjwt({ secret: "s", algorithms: ["HS256"] }), corsPackage());
        app.get("/", never);
        app.use(onError);
      }),
    ).toEqual(["fault cors-after-auth: 2 cors"]);
  });

  it.each<[string, (app: expressModule.Express) => void, string[]]>([
    ["PUT", (app) => app.put("/x", corsPackage(), never), ["fault cors-without-options: 1.1 cors"]],
    ["DELETE", (app) => app.delete("/x/:id", cors(), never), ["fault cors-without-options: 1.1 cors"]],
    [
      "PATCH, beside GET",
      (app) => app.route("/x").get(cors(), never).patch(cors(), never),
      ["fault cors-without-options: 1.3 cors"],
    ],
    [
      "PUT, with OPTIONS on another path",
      (app) => app.options("/y", cors()).put("/x", cors(), never),
      ["fault cors-without-options: 2.1 cors"],
    ],
    ["GET", (app) => app.get("/x", cors(), never), []],
    ["PUT, with its OPTIONS", (app) => app.options("/x", cors()).put("/x", cors(), never), []],
    ["PUT, with its OPTIONS below", (app) => app.put("/x", cors(), never).options("/x", cors()), []],
    ["all methods", (app) => app.all("/x", cors(), never), []],
    ["PUT and OPTIONS at once", (app) => app.route("/x").options(cors()).put(cors(), never), []],
    ["PUT, with cors for the app", (app) => app.use(cors()).put("/x", cors(), never), []],
  ])("cors on a route for %s", (_what, build, expected) => {
    expect(
      found((app) => {
        build(app);
        app.use(recover());
      }),
    ).toEqual(expected);
  });

  it("accepts cors on a router of GETs below a body parser, and reports it if there is a POST", () => {
    const build =
      (post: boolean): Build =>
      (app, from) => {
        const feed = from.Router();
        feed.use(corsPackage());
        feed.get("/news", never);
        if (post) feed.post("/news", never);
        app.use(from.json());
        app.use("/feed", feed);
        app.use(recover());
      };
    expect(found(build(false))).toEqual([]);
    expect(found(build(true))).toEqual(["fault cors-after-body-parser: 2.1 cors"]);
  });

  it.each<[string, (err: Error, req: Request, res: Response, next: NextFunction) => unknown]>([
    [
      "as Express's guide has it",
      (err, _req, res, next) => {
        if (res.headersSent) {
          return next(err);
        }
        res.status(500);
        return res.render("error", { error: err });
      },
    ],
    [
      "on one line",
      (err, _req, res, next) => {
        if (res.headersSent) return next(err);
        return res.status(500).send(err.message);
      },
    ],
    [
      "with a log line before it is passed on",
      (err, _req, res, next) => {
        if (res.headersSent) {
          console.error(err);
          next(err);
          return;
        }
        res.status(500).json({});
      },
    ],
    [
      "as an expression",
      (err, _req, res, next) => (res.headersSent ? next(err) : res.status(500).send(err.message)),
    ],
  ])("finds the textbook error handler above the routes, %s", (_how, handler) => {
    expect(
      found((app) => {
        app.use(handler as expressModule.ErrorRequestHandler);
        app.get("/", never);
      }),
    ).toEqual(["fault error-handler-not-last: 1 the error handler"]);
  });

  it("recognizes express-winston, and express-rate-limit from version 5 on", () => {
    const log = () => expressWinston.logger({ transports: [new winston.transports.Console()] });
    expect(
      found((app, from) => {
        app.use(from.json(), oldRateLimit({ max: 5 }), log());
        app.get("/", never);
        app.use(expressWinston.errorLogger({ transports: [new winston.transports.Console()] }));
        app.use(onError);
      }),
    ).toEqual([
      "fault log-not-first: 3 express-winston",
      "fault body-parser-before-rate-limit: 2 express-rate-limit",
    ]);
    expect(
      found((app, from) => {
        app.use(log(), oldRateLimit({ max: 5 }), from.json());
        app.use(oldRateLimit({ keyGenerator: (req: Request) => String(req.body.user) }));
        app.get("/", never);
        app.use(onError);
      }),
    ).toEqual([]);
  });

  it("finds files above the log, and above the headers that their pages need", () => {
    expect(
      found((app, from) => {
        app.use(from.static("public"), morgan("dev"), helmet());
        app.get("/", never);
        app.use(onError);
      }),
    ).toEqual(["advice log-not-first: 2 morgan", "advice security-headers-late: 3 helmet"]);
  });

  it("finds trust proxy: true beside a rate limit, and nothing where it is a number, or without a limit", () => {
    const build =
      (trust: unknown, limits: boolean): Build =>
      (app) => {
        app.set("trust proxy", trust);
        if (limits) app.use(limit());
        app.get("/", never);
        app.use(recover());
      };
    expect(found(build(true, true))).toEqual(["fault trust-proxy-all: 1 express-rate-limit"]);
    expect(found(build(1, true))).toEqual([]);
    expect(found(build(true, false))).toEqual([]);
  });

  it("on Express 4 an async handler that catches nothing is advice, once; on Express 5 it is not", () => {
    const build =
      (handler: unknown): Build =>
      (app, from) => {
        const router = from.Router();
        app.use(requestLog(), cors(), keys());
        router.get("/a", handler as never).get("/b", handler as never);
        app.use("/api", router);
        app.use(recover());
      };
    const rejecting = build(async function read(_req: Request, res: Response) {
      res.send(await Promise.resolve("x"));
    });
    const isOld = version === "Express 4";
    expect(found(rejecting)).toEqual(isOld ? ["advice async-handler-on-express-4: 4.1.1 read"] : []);
    const catching = build(async (_req: Request, res: Response, next: NextFunction) => {
      try {
        res.send(await Promise.resolve("x"));
      } catch (error) {
        next(error);
      }
    });
    expect(found(catching)).toEqual([]);
  });
});
