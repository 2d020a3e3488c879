import type { RequestHandler } from "express";
import { Counter, Registry } from "prom-client";
import { BUSY, limitAt } from "../demo-parts.js";
import { atHead, before, move, on, type Plant, remove, replace } from "./planting.js";

const probe = (status: number, body: object): Plant =>
  before(
    "probes",
    on("/readyz", (_req, res) => void res.status(status).set("Cache-Control", "no-store").json(body)),
  );

const probeFaults: Record<string, Plant> = {
  "probes behind the check of the host": move("probes", "headers"),
  "a probe that names what the app depends on": probe(200, {
    status: "pass",
    checks: { "orders-db": "pass" },
  }),
  "a probe that never passes": probe(503, { status: "fail" }),
  "a probe's answer that is a text": before(
    "probes",
    on("/readyz", (_req, res) => void res.set("Cache-Control", "no-store").send("OK")),
  ),
  "a probe's answer that caches keep": before(
    "probes",
    on("/readyz", (_req, res) => void res.set("Cache-Control", "max-age=5").json({ status: "pass" })),
  ),
  "a probe that does not know HEAD": before(
    "probes",
    on("/readyz", (req, res, next) => (req.method === "HEAD" ? void res.status(405).end() : next())),
  ),
};

/** A limit of requests at once, as somebody writes it, with one fault. */
function limitByHand({
  released = "close",
  isRefusalReleased = true,
  refusal = () => 503,
}: {
  released?: "close" | "finish";
  isRefusalReleased?: boolean;
  refusal?: () => number;
}): RequestHandler {
  let inFlight = 0;
  return (_req, res, next) => {
    const isTaken = inFlight < BUSY;
    inFlight++;
    if (isTaken || isRefusalReleased) res.once(released, () => inFlight--);
    if (isTaken) next();
    else res.status(refusal()).set({ "Retry-After": "1", "Cache-Control": "no-store" }).end();
  };
}

const busyFault = (fault: Parameters<typeof limitByHand>[0]): Plant =>
  replace("busy", () => limitAt("/busy", limitByHand(fault)));

const alternating = () => {
  let count = 0;
  return () => (count++ % 2 === 0 ? 503 : 500);
};

const loadShedFaults: Record<string, Plant> = {
  "no limit of requests at once": remove("busy"),
  "a busy app that fails": (parts, lines) => busyFault({ refusal: alternating() })(parts, lines),
  "a refusal without Retry-After": before(
    "context",
    atHead((res, req) => {
      if (req.originalUrl === "/busy" && res.statusCode === 503) res.removeHeader("Retry-After");
    }),
  ),
  "a refusal that caches keep": before(
    "context",
    atHead((res, req) => {
      if (req.originalUrl === "/busy" && res.statusCode === 503) res.set("Cache-Control", "public");
    }),
  ),
  "places that clients take with them": busyFault({ released: "finish" }),
  "places that are lost by a refusal": busyFault({ isRefusalReleased: false }),
  "probes that are refused by a busy app": (parts, lines) => {
    let isBusy = false;
    return before("probes", (req, res, next) => {
      if (req.path === "/livez" && isBusy) return void res.status(503).end();
      res.once("finish", () => {
        if (req.originalUrl === "/busy" && res.statusCode === 503) isBusy = true;
      });
      next();
    })(parts, lines);
  },
};

/** Requests that are counted by hand, in place of `metrics`. */
const counted =
  (labelOf: (req: Parameters<RequestHandler>[0]) => string, event: "close" | "finish", times = 1): Plant =>
  (parts, lines) => {
    const registry = new Registry();
    const requests = new Counter({
      name: "http_server_request_duration_seconds_count",
      help: "Requests.",
      labelNames: ["route"],
      registers: [registry],
    });
    const count: RequestHandler = (req, res, next) => {
      res.once(event, () => requests.inc({ route: labelOf(req) }, times));
      next();
    };
    const metrics = on("/metrics", async (_req, res) => {
      res.type(registry.contentType).send(await registry.metrics());
    });
    return before("probes", metrics)(replace("metrics", () => count)(parts, lines), lines);
  };

const routeOf = ({ route, path }: Parameters<RequestHandler>[0]): string =>
  path === "/metrics" ? path : ((route as { path?: string } | undefined)?.path ?? "");

let digest = 0;

const metricsFaults: Record<string, Plant> = {
  "no metrics": remove("metrics"),
  "metrics by path": counted(({ path }) => path, "close"),
  "metrics by what clients send, as a number": counted(
    (req) => (req.path === "/metrics" ? req.path : String(digest++)),
    "close",
  ),
  "metrics of what has finished": counted(routeOf, "finish"),
  "metrics that count twice": counted(routeOf, "close", 2),
  "metrics as a page": before(
    "probes",
    atHead((res, req) => {
      if (req.path === "/metrics") res.type("html");
    }),
  ),
  "metrics in a form of their own": before(
    "probes",
    on("/metrics", (_req, res) => void res.type("text").send("requests = 5\n")),
  ),
};

export const operateFaults: Record<string, Plant> = { ...probeFaults, ...loadShedFaults, ...metricsFaults };
