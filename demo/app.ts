import express, { type Express } from "express";
import {
  allowedHosts,
  bodyLimit,
  type CacheStore,
  cache,
  compress,
  cors,
  cspReports,
  csrf,
  loadShed,
  metrics,
  notFound,
  type RecoverOptions,
  type RequestLogOptions,
  recover,
  requestContext,
  requestLog,
  securityHeaders,
  timeout,
  type ViolationReport,
} from "express-portico";
import { Registry } from "prom-client";
import { routes } from "./routes.js";
import { type Database, isControl, underLoad } from "./under-load.js";

export interface DemoOptions {
  /** The demo's own origin: `http://localhost:8080`. */
  readonly ownOrigin: string;
  /** The origin of the pages that may call it: `http://localhost:8081`. */
  readonly otherOrigin: string;
  /** Where the metrics are: `http://localhost:8082`. */
  readonly metricsOrigin: string;
  /** The hosts that the demo answers to, beside those of this machine and `www.example`. */
  readonly hosts?: readonly string[] | undefined;
  /** The module that computes Fibonacci numbers, in a worker thread. */
  readonly fibonacci: URL | string;
  /** The module that sends the requests of the load, in a worker thread. */
  readonly load: URL | string;
  /** The requests of the load. Default: three times what one core can do, for ten seconds. */
  readonly rate?: { readonly perSecond: number; readonly seconds: number } | undefined;
  /** Where the counts of the requests are kept. Default: nobody reads them. */
  readonly registry?: Registry | undefined;
  /** What the readiness of the demo depends on. */
  readonly database?: Database | undefined;
  /** Where the cache keeps its entries. Default: in this process. */
  readonly store?: CacheStore | undefined;
  readonly log?: RequestLogOptions | undefined;
  readonly recover?: RecoverOptions | undefined;
}

/** The demo: the middleware before the router, the router, and the middleware after it. */
export function demoApp(options: DemoOptions): Express {
  const {
    ownOrigin,
    otherOrigin,
    metricsOrigin,
    hosts = [],
    fibonacci,
    load,
    store,
    recover: recovery,
  } = options;
  const { rate, registry = new Registry(), database = { isUp: true } } = options;
  const app = express();
  const shed = loadShed({ exempt: isControl });
  const reports: ViolationReport[] = []; // newest first

  // Before the router, from outer to inner. The order matters:
  app.use(requestContext()); // sets the request's id, which the others use
  app.use(requestLog({ ignore: (req) => req.path === "/work", ...options.log })); // logs every response of what follows, but those to the load
  app.use(metrics({ registry })); // counts them
  app.use(allowedHosts([...LOCAL_HOSTS, "www.example", ...hosts])); // before everything that trusts the host
  app.use(securityHeaders()); // on every response, errors and preflights too
  app.use("/csp-reports", cspReports({ onReport: (report) => keep(reports, report) })); // before auth: browsers report without credentials
  app.use("/open", cors()); // on one route, any page may read the response
  app.use(cors({ origin: otherOrigin, credentials: true, exposedHeaders: ["X-Request-Id"] })); // before any auth check
  app.use(csrf({ trustedOrigins: [otherOrigin] })); // after cors, so that a page can read the refusal
  app.use(shed); // after what a refusal needs to be readable, before what costs time

  app.use(cache({ store })); // after what differs for each response, before what costs time
  app.use(compress()); // inside the cache, so entries are stored encoded
  app.use(timeout(10_000)); // after the headers that its 503 needs, before everything that may be slow
  app.use(bodyLimit("10mb")); // before everything that reads a body

  app.use(underLoad({ ownOrigin, load, rate, shed, database }));
  app.use(routes({ ownOrigin, otherOrigin, metricsOrigin, fibonacci, recovery, reports }));

  // After the router:
  app.use(notFound());
  app.use(recover(recovery)); // last: it answers the errors of everything above
  return app;
}

/** A page of any other name that leads here (DNS rebinding) is refused. */
const LOCAL_HOSTS = ["localhost", "127.0.0.1", "[::1]"];

/** The page is public, so queries, referrers and user agents are removed. */
function keep(reports: ViolationReport[], report: ViolationReport): void {
  const { userAgent: _userAgent, referrer: _referrer, ...shown } = report;
  const documentUrl = report.documentUrl?.split("?", 1)[0];
  reports.unshift({ ...shown, documentUrl, referrer: undefined, userAgent: undefined });
  reports.splice(10);
}
