import cookieSession from "cookie-session";
import type expressModule from "express";
import type { RequestHandler } from "express";
import {
  allowedHosts,
  apiKey,
  authenticate,
  basic,
  bearer,
  csrf,
  recover,
  requestContext,
  unless,
} from "../../../src/index.js";
import { checkPipeline, describePipeline } from "../../../tools/check/index.js";
import { checkNodes } from "../../../tools/check/rules/index.js";
import { expressVersions } from "../../support/express.js";
import { never } from "./never.js";
import { sessions } from "./right-apps.js";

const methodOverride = require("method-override") as (getter?: string) => RequestHandler;
const ownOverride: RequestHandler = (req, _res, next) => {
  if (req.query._method === "delete") req.method = "DELETE";
  next();
};

type Build = (app: expressModule.Express, from: typeof expressModule) => void;

describe.each(expressVersions)("%s", (_version, express) => {
  function found(build: Build, details: object = {}): string[] {
    const app = express();
    build(app, express);
    app.use(recover());
    const read = describePipeline(app);
    const findings = checkNodes({ ...read, details: { ...read.details, ...details } });
    if (Object.keys(details).length === 0) expect(checkPipeline(app)).toEqual(findings);
    return findings.map(({ rule, level, at }) => `${level} ${rule}: ${at}`);
  }

  describe("a method override", () => {
    it.each<[string, RequestHandler[], string[]]>([
      [
        "the package, after csrf",
        [requestContext(), csrf(), methodOverride()],
        ["after-csrf: 3 method-override"],
      ],
      ["an own one, after csrf", [requestContext(), csrf(), ownOverride], ["after-csrf: 3 ownOverride"]],
      ["the package, before csrf", [methodOverride("_method"), csrf()], ["before-csrf: 1 method-override"]],
      ["an own one, before csrf", [ownOverride, csrf()], ["before-csrf: 1 ownOverride"]],
      ["between requestContext and csrf", [requestContext(), methodOverride(), csrf()], []],
      ["without csrf", [methodOverride()], []],
    ])("%s", (_name, handlers, expected) => {
      const rules = found((app) => void app.use(handlers).get("/", never));
      expect(rules).toEqual(expected.map((one) => `advice method-override-${one}`));
    });

    it("before csrf is no advice where serve keeps the method", () => {
      expect(
        found((app) => void app.use(methodOverride(), csrf()).get("/", never), { served: true }),
      ).toEqual([]);
    });

    it("on another path than csrf is none", () => {
      expect(found((app) => void app.use("/a", csrf()).use("/b", methodOverride()).get("/a", never))).toEqual(
        [],
      );
    });

    it.each<[string, RequestHandler]>([
      ["reads the method", (req, _res, next) => (req.method === "GET" ? next() : next())],
      [
        "sets the method of something else",
        (_req, res, next) => {
          res.locals.method = "GET";
          next();
        },
      ],
    ])("is none that %s", (_name, handler) => {
      expect(found((app) => void app.use(csrf(), handler).get("/", never))).toEqual([]);
    });

    it("that is not called is said to be", () => {
      const app = express().use(methodOverride as never);
      expect(checkPipeline(app)[0]).toMatchObject({ rule: "not-called" });
    });
  });

  describe("a route that changes something", () => {
    const verify = () => true;
    it.each<[string, Build, string[]]>([
      ["behind a session", (app) => app.use(sessions()).post("/", never), ["csrf-missing: 2 POST /"]],
      [
        "behind a cookie-session",
        (app) => app.use(cookieSession({ keys: ["k"] })).put("/a", never),
        ["csrf-missing: 2 PUT /a"],
      ],
      [
        "behind basic",
        (app) => app.use(authenticate(basic({ verify }))).delete("/", never),
        ["csrf-missing: 2 DELETE /"],
      ],
      ["for all methods", (app) => app.use(sessions()).all("/", never), ["csrf-missing: 2 ALL /"]],
      [
        "with the session on the route",
        (app) => app.post("/", sessions(), never),
        ["csrf-missing: 1 POST /"],
      ],
      [
        "in a router",
        (app, from) => app.use(sessions()).use("/api", from.Router().post("/x", never)),
        ["csrf-missing: 2.1 POST /api/x"],
      ],
      [
        "two of them: one advice",
        (app) => app.use(sessions()).post("/", never).post("/b", never),
        ["csrf-missing: 2 POST /"],
      ],
      ["reading alone", (app) => app.use(sessions()).get("/", never), []],
      ["behind a bearer token", (app) => app.use(authenticate(bearer({ verify }))).post("/", never), []],
      ["behind a key", (app) => app.use(authenticate(apiKey({ keys: ["k"] }))).post("/", never), []],
      ["with csrf", (app) => app.use(csrf(), sessions()).post("/", never), []],
      ["with csrf on the route", (app) => app.use(sessions()).post("/", csrf(), never), []],
      [
        "with csrf under unless",
        (app) =>
          app
            .use(
              unless(() => false, csrf()),
              sessions(),
            )
            .post("/", never),
        [],
      ],
      [
        "with another package against it",
        (app) =>
          app
            .use(function doubleCsrfProtection(_req, _res, next) {
              next();
            }, sessions())
            .post("/", never),
        [],
      ],
      [
        "beside csrf for another part",
        (app) => app.use("/a", csrf()).use(sessions()).post("/b", never),
        ["csrf-missing: 3 POST /b"],
      ],
      ["on another path than the session", (app) => app.use("/a", sessions()).post("/b", never), []],
    ])("%s", (_name, build, expected) => {
      expect(found(build)).toEqual(expected.map((one) => `advice ${one}`));
    });
  });

  describe("a server for this machine", () => {
    it.each<[string, Build, object, string[]]>([
      ["on loopback", (app) => app.get("/", never), { loopback: true }, ["allowed-hosts-missing: 1 GET /"]],
      [
        "on loopback, with allowedHosts",
        (app) => app.use(allowedHosts("localhost")).get("/", never),
        { loopback: true },
        [],
      ],
      ["elsewhere", (app) => app.get("/", never), {}, []],
      [
        "that serves MCP",
        (app) => app.get("/", never).post("/mcp", never),
        {},
        ["allowed-hosts-missing: 2 POST /mcp"],
      ],
      [
        "that serves MCP in a router",
        (app, from) => app.use("/v1", from.Router().all("/mcp", never)),
        {},
        ["allowed-hosts-missing: 1.1 ALL /v1/mcp"],
      ],
      [
        "that serves MCP, with allowedHosts",
        (app) => app.use(allowedHosts("localhost")).post("/mcp", never),
        {},
        [],
      ],
      [
        "that serves MCP, with the SDK's own check",
        (app) =>
          app
            .use(function hostHeaderValidation(_req, _res, next) {
              next();
            })
            .post("/mcp", never),
        {},
        [],
      ],
    ])("%s", (_name, build, details, expected) => {
      expect(found(build, details)).toEqual(expected.map((one) => `advice ${one}`));
    });
  });
});
