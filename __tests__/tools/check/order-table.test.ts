import compression from "compression";
import corsPackage from "cors";
import type express from "express";
import helmet from "helmet";
import morgan from "morgan";
import multer from "multer";
import { Registry } from "prom-client";
import {
  allowedHosts,
  bodyLimit,
  cache,
  compress,
  cors,
  cspReports,
  csrf,
  loadShed,
  metrics,
  notFound,
  recover,
  requestContext,
  requestLog,
  securityHeaders,
  timeout,
  unless,
} from "../../../src/index.js";
import { checkPipeline } from "../../../tools/check/index.js";
import { expressVersions } from "../../support/express.js";
import { never } from "./never.js";
import { keys, limit, onError, sessions } from "./right-apps.js";

type Mount = (app: express.Express, from: typeof express) => void;

/** README's table, with what docs/beside.md puts between its rows. */
const ORDER: Record<string, Mount> = {
  context: (app) => void app.use(requestContext()),
  log: (app) => void app.use(requestLog()),
  metrics: (app) => void app.use(metrics({ registry: new Registry() })),
  hosts: (app) => void app.use(allowedHosts("a.example")),
  headers: (app) => void app.use(securityHeaders()),
  reports: (app) => void app.use("/csp", cspReports({ onReport: never })),
  cors: (app) => void app.use(cors({ origin: "https://app.example" })),
  csrf: (app) => void app.use(csrf()),
  limit: (app) => void app.use(limit()),
  shed: (app) => void app.use(loadShed()),
  cache: (app) => void app.use(cache()),
  timeout: (app) => void app.use(timeout(10_000)),
  body: (app) => void app.use(bodyLimit("100kb")),
  session: (app) => void app.use(sessions()),
  auth: (app) => void app.use(keys()),
  parser: (app, from) => void app.use(from.json()),
  routes: (app) => void app.get("/", never).post("/", never),
  notFound: (app) => void app.use(notFound()),
  recover: (app) => void app.use(recover()),
};
const compressing = { compress: ((app) => void app.use(compress())) as Mount };

/** One row of README's table, or shown both ways in the docs: both orders are right. */
const ONE_ROW = [
  "metrics, log",
  "auth, session",
  "parser, auth",
  "reports, headers",
  "limit, csrf",
  "shed, limit",
  "body, timeout",
  "session, body",
];

const swaps = (rows: string[]) =>
  rows
    .slice(1)
    .map((lower, i): [string, string] => [lower, rows[i]!])
    .filter((pair) => !ONE_ROW.includes(pair.join(", ")));

const { cache: _cache, ...withoutCache } = ORDER;
const WITH_COMPRESS = Object.fromEntries(
  Object.entries({ ...withoutCache, ...compressing }).sort(
    ([a], [b]) => placeOf(a, "timeout") - placeOf(b, "timeout"),
  ),
);
function placeOf(name: string, before: string): number {
  const names = Object.keys(withoutCache);
  return name === "compress" ? names.indexOf(before) - 0.5 : names.indexOf(name);
}

describe.each(expressVersions)("%s", (_version, express) => {
  function rulesOf(rows: Record<string, Mount>, order: string[]): string[] {
    const app = express();
    for (const name of order) rows[name]!(app, express);
    return checkPipeline(app).map(({ rule, level, at }) => `${level} ${rule}: ${at}`);
  }

  it.each([
    ["cache", ORDER],
    ["compress", WITH_COMPRESS],
  ])("README's order, with %s, is right", (_name, rows) => {
    expect(rulesOf(rows, Object.keys(rows))).toEqual([]);
  });

  it.each(swaps(Object.keys(ORDER)))("finds %s above %s", (upper, lower) => {
    const order = Object.keys(ORDER);
    const at = order.indexOf(lower);
    order.splice(at, 2, upper, lower);
    expect(rulesOf(ORDER, order)).not.toEqual([]);
  });

  it.each([["timeout"], ["session"], ["auth"], ["parser"]])("finds %s above compress", (upper) => {
    const order = Object.keys(WITH_COMPRESS).filter((name) => name !== upper);
    order.splice(order.indexOf("compress"), 0, upper);
    expect(rulesOf(WITH_COMPRESS, order)).toContainEqual(expect.stringMatching(/compress-late/));
  });

  it.each<[string, string[], string[]]>([
    ["the context", ["auth", "context"], ["fault context-not-first"]],
    ["the context", ["cors", "context"], ["advice context-not-first"]],
    ["the log", ["cache", "log"], ["fault log-not-first"]],
    ["the log", ["headers", "log"], ["advice log-not-first"]],
    ["the metrics", ["cache", "metrics"], ["fault metrics-late"]],
    ["the metrics", ["hosts", "metrics"], ["fault metrics-late"]],
    ["the metrics", ["cors", "metrics"], ["advice metrics-late"]],
    ["the metrics", ["session", "metrics"], ["advice metrics-late", "advice csrf-missing"]],
    ["the metrics", ["headers", "metrics"], ["advice metrics-late"]],
    ["the hosts", ["parser", "hosts"], ["fault allowed-hosts-late"]],
    ["the hosts", ["cors", "hosts"], ["advice allowed-hosts-late"]],
    ["the forgery check", ["auth", "csrf"], ["advice csrf-late"]],
    ["the forgery check", ["session", "csrf"], ["advice csrf-late"]],
    ["cors", ["csrf", "cors"], ["fault cors-late"]],
    ["the headers", ["auth", "headers"], ["advice security-headers-late"]],
    ["the reports", ["auth", "reports"], ["fault csp-reports-late"]],
    ["the reports", ["cors", "reports"], ["advice csp-reports-late"]],
    ["cors", ["limit", "cors"], ["fault cors-late"]],
    ["cors", ["timeout", "cors"], ["fault cors-late"]],
    ["cors", ["session", "cors"], ["advice cors-late", "advice csrf-missing"]],
    ["the load", ["parser", "shed"], ["fault load-shed-late"]],
    ["the load", ["auth", "shed"], ["advice load-shed-late"]],
    ["the load", ["cache", "shed"], ["advice load-shed-late"]],
    ["the forgery check", ["shed", "csrf"], ["advice csrf-late"]],
    ["cors", ["shed", "cors"], ["fault cors-late"]],
    ["the limit", ["auth", "limit"], ["advice rate-limit-late"]],
    ["the limit", ["cache", "limit"], ["advice rate-limit-late"]],
    ["the cache", ["timeout", "cache"], ["advice cache-late"]],
    ["the cache", ["parser", "cache"], ["advice cache-late"]],
    ["cors", ["body", "cors"], ["fault cors-late"]],
    ["the size", ["parser", "body"], ["fault body-limit-late"]],
    ["the log", ["body", "log"], ["fault log-not-first"]],
    ["the deadline", ["auth", "timeout"], ["advice timeout-late"]],
    ["the deadline", ["session", "timeout"], ["advice timeout-late", "advice csrf-missing"]],
  ])("reports %s in %j", (_what, order, expected) => {
    const found = rulesOf(ORDER, [...order, "routes", "recover"]);
    expect(found.map((one) => one.replace(/:.*/, ""))).toEqual(expected);
  });

  it("reports a limit that reads too late, or that a smaller one above it decides", () => {
    const upload = multer().any();
    const rules = (mount: (app: express.Express) => void) => {
      const app = express();
      mount(app);
      return checkPipeline(app)
        .filter(({ rule }) => rule.startsWith("body-limit"))
        .map(({ rule, level, at }) => `${level} ${rule}: ${at}`);
    };
    expect(rules((app) => app.use(bodyLimit("1mb")).post("/a", bodyLimit("5mb"), never))).toEqual([
      "fault body-limit-larger: 2.1 bodyLimit",
    ]);
    expect(rules((app) => app.use(bodyLimit("1mb")).use("/a", bodyLimit("5kb"), never))).toEqual([]);
    expect(rules((app) => app.use(bodyLimit("1mb")).use("/a", bodyLimit("1mb"), never))).toEqual([]);
    expect(rules((app) => app.use("/b", bodyLimit("1mb")).use("/a", bodyLimit("5mb"), never))).toEqual([]);
    expect(rules((app) => app.use("/a", bodyLimit("5mb"), never).use(bodyLimit("1mb"), never))).toEqual([]);
    const timed = bodyLimit({ limit: "5mb", timeMs: 100 });
    expect(rules((app) => app.use(bodyLimit("1mb")).use("/a", timed, never))).toEqual([
      "advice body-limit-larger: 2 bodyLimit",
    ]);
    const isUpload = (req: { url?: string | undefined }) => req.url === "/a";
    expect(
      rules((app) => app.use(unless(isUpload, bodyLimit("1mb"))).post("/a", bodyLimit("5mb"), never)),
    ).toEqual([]);
    expect(rules((app) => app.post("/a", upload, bodyLimit("5mb"), never))).toEqual([
      "fault body-limit-late: 1.2 bodyLimit",
    ]);
    expect(rules((app) => app.use(express.json()).post("/a", bodyLimit("5mb"), upload, never))).toEqual([
      "advice body-limit-late: 2.1 bodyLimit",
    ]);
    expect(rules((app) => app.use(bodyLimit("1mb"), express.json()).use(bodyLimit("5kb")))).toEqual([]);
  });

  it("finds every fault in a list with several", () => {
    const order = ["log", "timeout", "auth", "cache", "context", "headers", "routes", "recover"];
    expect(rulesOf(ORDER, order)).toEqual([
      "fault context-not-first: 5 requestContext",
      "advice security-headers-late: 6 securityHeaders",
      "advice cache-late: 4 cache",
    ]);
  });

  it("recover above the 404 is advice", () => {
    expect(rulesOf(ORDER, ["routes", "recover", "notFound"])).toEqual(["advice recover-not-last: 3 recover"]);
  });

  it("reports nothing if both orders are fine, or for a part of the app", () => {
    const app = express();
    app.use(helmet(), corsPackage(), compression(), morgan("dev"));
    app.use(limit(), express.json());
    app.use("/slow", timeout(50));
    app.use("/admin", keys(), securityHeaders({ frameOptions: "deny" }));
    app.get("/slow", never);
    app.use(onError);
    expect(checkPipeline(app).map(({ rule, at }) => `${rule}: ${at}`)).toEqual([
      "log-not-first: 4 morgan",
      "helmet-beside: 1 helmet",
    ]);
  });
});
