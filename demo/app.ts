import express, { type Express } from "express";
import {
  type CacheStore,
  cache,
  compress,
  cors,
  cspReports,
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
import { routes } from "./routes.js";

export interface DemoOptions {
  /** Where the demo itself is to be found: `http://localhost:8080`. */
  readonly ownOrigin: string;
  /** Whose pages may call it: `http://localhost:8081`. */
  readonly otherOrigin: string;
  /** The module that computes Fibonacci numbers, for a thread of its own. */
  readonly fibonacci: URL | string;
  /** Where stored answers are kept; by default in this process. */
  readonly store?: CacheStore | undefined;
  readonly log?: RequestLogOptions | undefined;
  readonly recover?: RecoverOptions | undefined;
}

/** The demo: what goes before the router, the router, and what goes after it. */
export function demoApp(options: DemoOptions): Express {
  const { ownOrigin, otherOrigin, fibonacci, store, log, recover: recovery } = options;
  const app = express();
  const reports: ViolationReport[] = []; // the newest first

  // Before the router, from the outside in. The order is the point:
  app.use(requestContext()); // gives every request its id, which the others use
  app.use(requestLog(log)); // sees everything below it, early answers included
  app.use(securityHeaders()); // on every answer, the early ones and the errors too
  app.use("/csp-reports", cspReports({ onReport: (report) => keep(reports, report) })); // browsers report without credentials
  app.use("/open", cors()); // the literal open recipe, on one route: any page may read it
  app.use(cors({ origin: otherOrigin, credentials: true, exposedHeaders: ["X-Request-Id"] })); // before any auth check

  app.use(cache({ store })); // below what is different for each request, above what costs time
  app.use(compress()); // what is stored is coded already
  app.use(timeout(10_000)); // below what its answer needs, above all that may be slow

  app.use(routes({ ownOrigin, otherOrigin, fibonacci, recovery, reports }));

  // After the router:
  app.use(notFound());
  app.use(recover(recovery)); // last: it answers for everything above
  return app;
}

/** The page shows them to everybody: queries, and who it was, are nobody else's business. */
function keep(reports: ViolationReport[], report: ViolationReport): void {
  const { userAgent: _userAgent, referrer: _referrer, ...shown } = report;
  const documentUrl = report.documentUrl?.split("?", 1)[0];
  reports.unshift({ ...shown, documentUrl, referrer: undefined, userAgent: undefined });
  reports.splice(10);
}
