import { setTimeout as sleep } from "node:timers/promises";
import express, { type Request, type RequestHandler, Router } from "express";
import {
  authenticate,
  authorize,
  background,
  basic,
  bearer,
  bodyLimit,
  contextOf,
  cors,
  csrf,
  type RecoverOptions,
  recover,
  type SecurityHeadersOptions,
  securityHeaders,
  timeout,
  type ViolationReport,
} from "express-portico";
import { offload } from "express-portico/offload";
import { homePage } from "./pages/home.js";

interface RoutesOptions {
  readonly ownOrigin: string;
  readonly otherOrigin: string;
  readonly metricsOrigin: string;
  readonly fibonacci: URL | string;
  readonly recovery: RecoverOptions | undefined;
  /** The violations that browsers have reported to this process. */
  readonly reports: readonly ViolationReport[];
}

/** The users of the demo's /admin. A real app looks them up. */
const tokens = new Map([
  ["demo-reader", { name: "reader", role: "reader" }],
  ["demo-owner", { name: "owner", role: "owner" }],
]);

export function routes(options: RoutesOptions): Router {
  const { ownOrigin, otherOrigin, metricsOrigin, fibonacci, recovery, reports } = options;
  const router = Router();

  // The page has an inline style and script: a nonce for each request; all other headers as elsewhere.
  router.get("/", ...policies(ownOrigin), (_req, res) => {
    const nonce = res.locals.cspNonce as string;
    res.type("html").send(homePage({ ownOrigin, otherOrigin, metricsOrigin, nonce }));
  });
  router.get("/violations", (_req, res) => void res.set("Cache-Control", "no-store").json(reports));

  router.get("/hello", (_req, res) => void res.send("Hello, world\n"));
  router.post(
    "/hello",
    bodyLimit("10kb"),
    express.json(),
    (req, res) => void res.json({ hello: req.body?.name ?? "world" }),
  );
  router.get("/headers", (req, res) => void res.json(req.headers));
  router.get("/open", (_req, res) => void res.json({ open: true }));
  router.get(
    "/partners",
    cors({ origin: "https://partner.example" }),
    (_req, res) => void res.json({ partners: 1 }),
  );

  // Only the demo's own pages may send this form: here csrf trusts no other origin.
  router.post("/transfer", csrf(), express.urlencoded(), (req, res) => {
    res.type("text").send(`Transferred ${Number(req.body?.amount) || 0}.\n`);
  });

  router.get("/panic", () => {
    throw new Error("the handler panicked");
  });
  router.get("/panic-async", async () => {
    await sleep(10);
    throw new Error("the handler panicked after a while");
  });
  router.get("/panic-late", async (_req, res) => {
    res.write("The first half of a response, ");
    await sleep(10);
    throw new Error("the handler panicked half-way");
  });
  // An uncaught error: its request is answered, the other requests finish, and the process ends.
  router.get("/panic-timer", () => {
    setTimeout(() => {
      throw new Error("a timer panicked");
    }, 10);
  });
  router.post("/upload", () => {
    throw new Error("the handler panicked before it read the upload");
  });

  // The client gets its response after half a second; what the handler does later is discarded.
  router.get("/slow", timeout({ ms: 500, message: "This took too long." }), async (_req, res) => {
    await sleep(1_000);
    res.send("Too late\n");
  });
  // It takes a second. Until max-age is over, the cache answers with the stored response.
  router.get("/report", async (_req, res) => {
    await sleep(1_000);
    res.set("Cache-Control", "public, max-age=30, stale-while-revalidate=300, stale-if-error=3600");
    res.json({ made: new Date().toISOString(), by: process.pid, days: salesOfDays(60) });
  });
  router.post("/report", (_req, res) => void res.json({ forgotten: "the stored report" }));
  router.get("/stream", async (_req, res) => {
    res.type("text");
    for (let i = 1; i <= 5 && !res.destroyed; i++) {
      res.write(`line ${i}\n`);
      await sleep(200);
    }
    res.end();
  });
  // Runs after the response. Its failure is logged with the request's id, and a shutdown waits for it.
  router.get("/background", (_req, res) => {
    void background("send the mail", async (signal) => {
      await sleep(1_000, undefined, { signal });
      throw new Error("the mail server is down");
    });
    res.status(202).json({ accepted: true });
  });
  const onThread = offload<number, number>(fibonacci, { threads: 2, maxQueue: 16, timeoutMs: 10_000 });
  router.get("/fib/:n", async (req, res) => {
    const n = Number(req.params.n);
    if (!Number.isInteger(n) || n < 0 || n > 45) {
      throw Object.assign(new Error("n must be a whole number from 0 to 45."), { status: 400, expose: true });
    }
    res.json({ n, fibonacci: await onThread(n, { signal: contextOf(req).signal }) });
  });

  // Recovery as in Go: wrapped around a router from outside.
  const wrapped = Router();
  wrapped.get("/panic", () => {
    throw new Error("the handler panicked inside the wrapped router");
  });
  wrapped.get("/hello", (_req, res) => void res.send("Hello from inside\n"));
  router.use("/wrapped", recover.wrap(wrapped, recovery));

  router.use("/admin", admin());
  return router;
}

/**
 * Violations of the enforced policy are reported at once, by `report-uri`. Over HTTPS there is also a report-only policy. The
 * Reporting API reports its violations up to a minute later, and only to HTTPS endpoints with a trusted certificate.
 */
function policies(ownOrigin: string): RequestHandler[] {
  const enforced = { nonce: true, directives: { reportUri: ["/csp-reports"] } };
  const beside: SecurityHeadersOptions = {
    contentSecurityPolicy: { nonce: true, reportOnly: true, reportTo: "csp" },
    reportingEndpoints: { csp: `${ownOrigin}/csp-reports` },
  };
  const first = securityHeaders({ contentSecurityPolicy: enforced });
  return ownOrigin.startsWith("https:") ? [first, securityHeaders(beside)] : [first];
}

function salesOfDays(count: number): { day: number; sales: number }[] {
  return Array.from({ length: count }, (_, i) => ({
    day: i + 1,
    sales: Math.round(1_000 + 500 * Math.sin(i)),
  }));
}

function admin(): Router {
  const router = Router();
  router.use(
    authenticate([
      bearer({ verify: (token) => tokens.get(token) ?? false, realm: "demo" }),
      basic({ users: { demo: "demo-password" }, realm: "demo" }),
    ]),
  );
  router.get("/", (req, res) => void res.json({ welcome: contextOf(req).auth?.principal.name }));
  router.get("/audit", authorize(isOwner), (_req, res) => void res.json({ audit: "all is well" }));
  return router;
}

function isOwner(req: Request): boolean {
  return contextOf(req).auth?.principal.role === "owner";
}
