import type expressModule from "express";
import {
  allowedHosts,
  apiKey,
  authenticate,
  csrf,
  health,
  loadShed,
  recover,
  requestContext,
  requestLog,
  unless,
} from "../../../src/index.js";
import { checkPipeline } from "../../../tools/check/index.js";
import { expressVersions } from "../../support/express.js";
import { never } from "./never.js";
import { keys, limit, sessions } from "./right-apps.js";

const plain = health({ checks: {} });
const detailed = health({ checks: {}, details: true });

type Build = (app: expressModule.Express, from: typeof expressModule) => void;

describe.each(expressVersions)("%s", (_version, express) => {
  it.each<[string, Build, string[]]>([
    [
      "above all",
      (app) => app.get("/readyz", plain).use(allowedHosts("a.example"), keys()).get("/", never),
      [],
    ],
    [
      "above the context and the log",
      (app) => app.use("/readyz", plain).use(requestContext(), requestLog()),
      [],
    ],
    [
      "below the context, the log and csrf",
      (app) => app.use(requestContext(), requestLog(), csrf()).get("/readyz", plain),
      [],
    ],
    [
      "behind allowedHosts",
      (app) => app.use(allowedHosts("a.example")).get("/readyz", plain),
      ["fault health-behind: 2.1 health"],
    ],
    [
      "behind loadShed",
      (app) => app.use(loadShed()).get("/readyz", plain),
      ["advice health-behind: 2.1 health"],
    ],
    [
      "behind loadShed, which may exempt it",
      (app) => app.use(loadShed({ exempt: () => true })).get("/readyz", plain),
      [],
    ],
    [
      "a liveness probe of one's own, behind loadShed",
      (app) => app.use(loadShed()).get("/livez", never).get("/in/healthz", never).get("/lives", never),
      ["advice liveness-shed: 2 GET /livez", "advice liveness-shed: 3 GET /in/healthz"],
    ],
    [
      "liveness probes above loadShed, and exempt",
      (app) =>
        app
          .get("/livez", never)
          .use(loadShed({ exempt: () => true }))
          .get("/healthz", never),
      [],
    ],
    [
      "a liveness probe behind loadShed on another path",
      (app) => app.use("/api", loadShed()).get("/livez", never),
      [],
    ],
    [
      "loadShed after the routes",
      (app) => app.get("/", never).use(loadShed()),
      ["fault loadShed-after-routes: 2 loadShed"],
    ],
    [
      "behind an auth check",
      (app) => app.use(keys()).get("/readyz", plain),
      ["fault health-behind: 2.1 health"],
    ],
    [
      "behind an auth check of its route",
      (app) => app.get("/readyz", keys(), plain),
      ["fault health-behind: 1.2 health"],
    ],
    ["with details, behind an auth check", (app) => app.get("/details", keys(), detailed), []],
    [
      "with details, behind allowedHosts",
      (app) => app.use(allowedHosts("a.example")).get("/details", keys(), detailed),
      ["fault health-behind: 2.2 health"],
    ],
    ["behind an auth check of another path", (app) => app.use("/api", keys()).get("/readyz", plain), []],
    [
      "behind one that may not apply",
      (app) =>
        app.use(unless((req) => req.path === "/readyz", allowedHosts("a.example"))).get("/readyz", plain),
      [],
    ],
    ["behind a limit", (app) => app.use(limit()).get("/readyz", plain), ["advice health-behind: 2.1 health"]],
    [
      "behind a session",
      (app) => app.use(sessions()).use("/readyz", plain),
      ["advice health-behind: 2 health"],
    ],
    [
      "the most serious is reported",
      (app) => app.use(limit(), sessions(), allowedHosts("a.example")).get("/readyz", plain),
      ["fault health-behind: 4.1 health"],
    ],
    [
      "mounted without a path",
      (app) => app.use(plain).get("/", never),
      ["fault health-everywhere: 1 health"],
    ],
    [
      "in a router at a path",
      (app, from) => app.use("/readyz", from.Router().use(plain)).get("/", never),
      [],
    ],
    ["on every route", (app) => app.get("/", plain), []],
    [
      "with optional credentials above",
      (app) => app.use(authenticate(apiKey({ keys: ["k"] }), { optional: true })).get("/readyz", plain),
      [],
    ],
  ])("health %s", (_name, build, expected) => {
    const app = express();
    build(app, express);
    app.use(recover());
    const found = checkPipeline(app).map(({ level, rule, at }) => `${level} ${rule}: ${at}`);
    expect(found.filter((one) => /health|liveness|loadShed/.test(one) || expected.length === 0)).toEqual(
      expected,
    );
  });
});
