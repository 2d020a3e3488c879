import compression from "compression";
import corsPackage from "cors";
import type express from "express";
import type { ErrorRequestHandler, NextFunction, Request, RequestHandler, Response } from "express";
import { rateLimit } from "express-rate-limit";
import session from "express-session";
import helmet from "helmet";
import morgan from "morgan";
import multer from "multer";
import passport from "passport";
import {
  apiKey,
  around,
  authenticate,
  authorize,
  cache,
  chain,
  compress,
  cors,
  cspReports,
  csrf,
  notFound,
  portico,
  recover,
  requestContext,
  requestLog,
  securityHeaders,
  timeout,
  unless,
  when,
} from "../../../src/index.js";
import { never } from "./never.js";

export type Build = (app: express.Express, from: typeof express) => void;

export const keys = () => authenticate(apiKey({ keys: ["k"] }));
export const sessions = () => session({ secret: "s", resave: false, saveUninitialized: false });
export const onError = (_error: unknown, _req: Request, _res: Response, _next: NextFunction) => never();
export const limit = () => rateLimit({ limit: 5 });

export const rightApps: Record<string, Build> = {
  "an app with nothing in it": () => {},
  "portico()": (app) => {
    const { before, after } = portico({ cors: { origin: "https://app.example" } });
    app.use(before);
    app.get("/", never);
    app.use(after);
  },
  "the whole order": (app, from) => {
    app.get("/healthz", never);
    app.use(requestContext());
    app.use(requestLog());
    app.use(securityHeaders());
    app.post("/csp", cspReports({ onReport: never }));
    app.use(cors({ origin: "https://app.example", credentials: true }));
    app.use(csrf());
    app.use(limit());
    app.use(cache(), compress());
    app.use(timeout(10_000));
    app.use(sessions(), passport.session(), keys());
    app.use(from.json(), from.urlencoded({ extended: true }));
    app.get("/", never);
    app.post("/upload", authorize(never), multer().single("file"), never);
    app.use(notFound());
    app.use(recover());
  },
  "well-known packages in their order": (app, from) => {
    app.use(morgan("combined"), helmet(), corsPackage({ origin: "https://app.example", credentials: true }));
    app.use(limit(), compression());
    app.use(from.static("public"));
    app.use(sessions(), passport.initialize(), passport.session());
    app.use(from.json());
    app.get("/", passport.authenticate("bearer"), never);
    app.use((_req, res) => void res.status(404).send("Not here"));
    app.use(onError);
  },
  "a generated Express app": (app, from) => {
    const index = from.Router();
    index.get("/", function list(_req, res, _next) {
      res.send("x");
    });
    app.use(morgan("dev"), from.json(), from.urlencoded({ extended: false }), from.static("public"));
    app.use("/", index);
    app.use("/users", index);
    app.use((_req, _res, next) => {
      next(Object.assign(new Error("Not found"), { status: 404 }));
    });
    app.use(onError);
  },
  "cors on the router that needs it": (app, from) => {
    const api = from.Router();
    api.use(cors(), keys(), from.json());
    api.get("/", never);
    app.use("/api", api);
    app.use("/admin", keys());
    app.get("/admin", never);
    app.use(recover());
  },
  "cors for all, and another on a route below the auth check": (app) => {
    app.use(cors(), keys());
    app.use("/open", cors({ origin: "https://a.example" }));
    app.get("/open", never);
    app.use(recover());
  },
  "preflights answered by a route above the auth check": (app) => {
    app.options("/open", corsPackage());
    app.use(keys());
    app.use("/open", corsPackage());
    app.get("/open", never);
    app.use(recover());
  },
  "an auth check that passes preflights": (app) => {
    app.use(authenticate(apiKey({ keys: ["k"] }), { preflight: "pass" }));
    app.use("/api", cors());
    app.get("/api", never);
    app.use(recover());
  },
  "an auth check that a predicate may leave out": (app) => {
    app.use(unless((req) => req.method === "OPTIONS", keys()));
    app.use(cors());
    app.get("/api", never);
    app.use(recover());
  },
  "an auth check on another path than cors": (app) => {
    app.use("/admin", keys());
    app.use("/api", cors());
    app.get("/api", never);
    app.use(recover());
  },
  "a chain in Go's order": (app, from) => {
    const api = from.Router();
    api.get("/", never);
    app.use(chain(recover(), requestLog(), cors(), keys()).then(api));
  },
  "recover.wrap around the router": (app, from) => {
    const api = from.Router();
    api.get("/", never);
    app.use(recover.wrap(api));
  },
  "recover at the end of each router": (app, from) => {
    for (const path of ["/a", "/b"]) {
      const router = from.Router();
      router.get("/", never);
      router.use(recover());
      app.use(path, router);
    }
  },
  "an error handler with an address of its own after another": (app) => {
    app.get("/", never);
    app.use(onError, recover());
  },
  "an error handler that is followed by a 404 that answers": (app) => {
    app.get("/", never);
    app.use(onError);
    app.use(notFound());
  },
  "an error handler in a router that is mounted last": (app, from) => {
    const last = from.Router();
    last.use(notFound(), recover());
    app.get("/", never);
    app.use(last);
  },
  "error handlers on a route, and one for all": (app) => {
    app.get("/", never, onError);
    app.use(recover());
  },
  "a mounted app with an order of its own": (app, from) => {
    const admin = from();
    admin.use(requestLog(), cors(), keys());
    admin.get("/", never);
    app.use("/admin", admin);
    app.get("/", never);
    app.use(recover());
  },
  "a mounted app whose errors the outer one answers": (app, from) => {
    const inner = from();
    inner.get("/", never);
    app.use(inner);
    app.use(recover());
  },
  "a router mounted in itself": (app, from) => {
    const router = from.Router();
    router.get("/", never);
    router.use("/again", router);
    app.use(router);
    app.use(recover());
  },
  "two logs, one of them measuring": (app) => {
    app.use(requestLog(), requestLog({ format: never }));
    app.use(
      morgan("dev", { skip: (_req, res) => res.statusCode < 400 }),
      morgan("dev", { skip: (_req, res) => res.statusCode >= 400 }),
    );
    app.get("/", never);
    app.use(recover());
  },
  "a log for a part, below what is for all": (app) => {
    app.use(requestLog(), keys());
    app.use("/api", requestLog({ format: "dev" }));
    app.get("/api", never);
    app.use(recover());
  },
  "a person's own functions with famous names": (app) => {
    const named = (name: string) =>
      Object.defineProperty((_req: Request, _res: Response, next: NextFunction) => next(), "name", {
        value: name,
      });
    app.use(named("authenticate"), named("jsonParser"), named("session"), named("compression"));
    app.use(named("logger"), named("serveStatic"), requestLog(), cors(), named("corsMiddleware"));
    app.use(named("notFound"), named("helmetMiddleware"));
    app.get("/", never);
    app.use(recover());
  },
  "a limit for each user, below what finds the user": (app, from) => {
    app.use(limit(), keys(), from.json());
    app.use(rateLimit({ keyGenerator: (req) => String(req.body.user) }));
    app.get("/", never);
    app.use(recover());
  },
  "a limit on a body's field": (app, from) => {
    app.use(from.json());
    app.use("/login", rateLimit({ keyGenerator: (req) => String(req.body.email) }));
    app.post("/login", never);
    app.use(recover());
  },
  "files for those who have logged in": (app, from) => {
    app.use(sessions());
    app.use(function loggedIn(_req, _res, next) {
      next();
    });
    app.use(from.static("private"));
    app.use(recover());
  },
  "files on a path that the session is not for": (app, from) => {
    app.use("/account", sessions());
    app.use("/files", from.static("public"));
    app.use(recover());
  },
  "a 404 for one part, and routes in another": (app, from) => {
    const api = from.Router();
    api.get("/", never);
    api.use(notFound());
    app.use("/api", api);
    app.get("/", never);
    app.use(notFound(), recover());
  },
  "a handler that is a 404 only for some": (app) => {
    app.use((req, res, next) => {
      if (req.path.startsWith("/old")) res.status(404).send("Gone");
      else next();
    });
    app.get("/", never);
    app.use(recover());
  },
  "compression above some of the routes": (app) => {
    app.get("/healthz", never);
    app.use(compress());
    app.get("/", never);
    app.use(notFound(), recover());
  },
  "compression above a handler that is not known": (app) => {
    app.get("/healthz", never);
    app.use(compression(), (_req, res) => void res.send("page"));
    app.use(recover());
  },
  "what runs for some requests, twice": (app) => {
    app.use(
      when((req) => req.secure, securityHeaders()),
      when((req) => !req.secure, securityHeaders()),
    );
    app.get("/", never);
    app.use(recover());
  },
  "a stricter policy on a part": (app) => {
    app.use(securityHeaders(), compress());
    app.use("/admin", securityHeaders({ frameOptions: "deny" }), compress({ jitter: true }));
    app.get("/admin", never);
    app.use(recover());
  },
  "a policy that is tried beside the enforced one": (app) => {
    app.use(securityHeaders());
    app.use(
      securityHeaders({
        contentSecurityPolicy: { reportOnly: true, reportTo: "csp", directives: { imgSrc: ["'self'"] } },
        reportingEndpoints: { csp: "https://reports.example/csp" },
      }),
    );
    app.get("/", never);
    app.use(recover());
  },
  "two routers, and two chains, each with its own": (app, from) => {
    for (const _of of ["one", "other"]) {
      const router = from.Router();
      router.use(cors(), compress());
      router.get("/", never);
      app.use(router);
      app.use(chain(requestContext(), cors()).then(never));
    }
    app.use(recover());
  },
  "a proxy's header, and the setting for it": (app) => {
    app.set("trust proxy", 1);
    app.use((req, _res, next) => next(req.headers["x-forwarded-for"]));
    app.get("/", never);
    app.use(recover());
  },
  "arrays of handlers, and lists of paths": (app) => {
    app.use([requestLog(), [securityHeaders(), cors()]] as RequestHandler[], [keys()]);
    app.use(["/a", "/b"], timeout(5));
    app.get(["/a", "/b"], [never, never]);
    app.use([notFound(), recover()]);
  },
  "code on the way up": (app) => {
    app.use(around(async (_req, _res, next) => void (await next())));
    app.get("/:id", never);
    app.use(recover());
  },
  "an error handler for one kind of errors, behind what makes them": (app) => {
    app.use(never);
    app.use(((error, _req, res, next) => {
      if (error.code === "EBADCSRFTOKEN") res.sendStatus(403);
      else next(error);
    }) as ErrorRequestHandler);
    app.get("/", never);
    app.use(recover());
  },
  "helpers with a 404 in them, whatever their parameters are called": (app) => {
    app.use(((_req, res, done) => {
      Object.assign(res, { notFound: () => res.status(404).send("") });
      done();
    }) as RequestHandler);
    app.use(((_req, res, go) => {
      Promise.resolve().then(
        () => go(),
        () => res.status(404).send(""),
      );
    }) as RequestHandler);
    app.use(((...all: Parameters<RequestHandler>) => {
      Object.assign(all[1], { notFound: () => all[1].sendStatus(404) });
      all[2]();
    }) as RequestHandler);
    app.get("/", never);
    app.use(recover());
  },
  "a route for what no other has answered, behind the error handler": (app) => {
    app.get("/", never);
    app.use(recover());
    app.all(/.*/, (_req, res) => void res.status(404).send("nothing here"));
  },
  "patterns under a domain of one's own": (app) => {
    app.use(
      cors({
        origin: ["https://*.app.example.co.uk", /^https:\/\/pr-\d+-ours\.vercel\.app$/],
        credentials: true,
      }),
    );
    app.get("/", never);
    app.use(recover());
  },
  "the cors package open to all, without credentials": (app) => {
    app.use("/open", corsPackage({ origin: true }));
    app.use("/asked", corsPackage({ origin: (_origin, done) => done(null, true), credentials: true }));
    app.get("/", never);
    app.use(recover());
  },
};
