import cookieSession from "cookie-session";
import type expressModule from "express";
import type { RequestHandler } from "express";
import request from "supertest";
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

  describe("allowedHosts for this machine", () => {
    const LOCAL = ["localhost", "127.0.0.1", "[::1]"];
    const trusting = (trust: unknown, hosts: string | string[]): Build => {
      return (app) => app.set("trust proxy", trust).use(allowedHosts(hosts)).get("/", never);
    };
    it.each<[string, Build, object, boolean]>([
      ["where every peer is trusted", trusting(true, LOCAL), {}, true],
      ["with subdomains of localhost, trusted", trusting(true, ["*.localhost", "localhost:3000"]), {}, true],
      ["with another name, on loopback, trusted", trusting(true, "tool.example"), { loopback: true }, true],
      ["with another name, elsewhere, trusted", trusting(true, "shop.example"), {}, false],
      ["with another name beside it, elsewhere", trusting(true, [...LOCAL, "shop.example"]), {}, false],
      [
        "with a name that only begins so",
        trusting(true, ["localhost.example", "127.0.0.1.example"]),
        {},
        false,
      ],
      [
        "where nothing is set",
        (app) => app.use(allowedHosts(LOCAL)).get("/", never),
        { loopback: true },
        false,
      ],
      ["where none is trusted", trusting(false, LOCAL), { loopback: true }, false],
      ["where a proxy of the network is trusted", trusting("10.0.0.0/8", LOCAL), {}, false],
      [
        "in a mounted app that trusts nobody",
        (app, from) => {
          const inner = from().set("trust proxy", false);
          inner.use(allowedHosts(LOCAL)).get("/", never);
          app.set("trust proxy", true).use("/tool", inner);
        },
        {},
        false,
      ],
    ])("%s", (_name, build, details, isFound) => {
      const rules = found(build, details).filter((one) => one.includes("allowed-hosts-forwarded"));
      expect(rules).toEqual(isFound ? ["fault allowed-hosts-forwarded: 1 allowedHosts"] : []);
    });

    it("lets pass what the rule says", async () => {
      const ask = async (trust: unknown) => {
        const app = express().set("trust proxy", trust);
        app.use(allowedHosts(LOCAL)).get("/", (_req, res) => void res.send("secret"));
        const headers = { host: "evil.example", "x-forwarded-host": "localhost" };
        return (await request(app).get("/").set(headers)).status;
      };
      expect([await ask(true), await ask(false)]).toEqual([200, 421]);
    });
  });
});
