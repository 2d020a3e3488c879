// What users of TypeScript write. It must compile as it stands: from the source (`npm run typecheck`), and from the
// published declarations with other compilers, other @types/node and other settings (consumers.soak.test.ts).
import express, { type ErrorRequestHandler, type Request, type RequestHandler } from "express";
import {
  allowedHosts,
  apiKey,
  around,
  authenticate,
  authorize,
  basic,
  bearer,
  cache,
  chain,
  compress,
  contextOf,
  cors,
  cspReports,
  csrf,
  currentContext,
  type ErrorHandler,
  type Handler,
  type Health,
  health,
  type MetricsMeter,
  type MetricsRegistry,
  metrics,
  notFound,
  portico,
  recover,
  requestContext,
  requestLog,
  requireScopes,
  type Scheme,
  type Served,
  securityHeaders,
  serve,
  timeout,
  unless,
  when,
} from "express-portico";
import { jwt } from "express-portico/jwt";

/** Compiles only if the two types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<Expected>() {
  return <Actual>(
    _value: Actual,
    ..._differs: Same<Actual, Expected> extends true ? [] : [never]
  ): void => {};
}
function text(_text: string): void {}

interface User {
  name: string;
  age: number;
}
class Account {
  constructor(readonly id: number) {}
}
declare const users: Map<string, User>;

export const app = express();

// The types of a route stay what Express says they are, behind each handler of the package.
app.get("/orders/:id", requestContext(), (req) => text(req.params.id));
app.get("/orders/:id", requestLog(), (req) => text(req.params.id));
app.get("/orders/:id", securityHeaders(), (req) => text(req.params.id));
declare const registry: MetricsRegistry;
declare const meter: MetricsMeter;
app.get("/orders/:id", metrics({ registry }), (req) => text(req.params.id));
metrics({ meter, registry: undefined });
app.get("/orders/:id", csrf(), (req) => text(req.params.id));
app.get("/orders/:id", allowedHosts("a.example"), (req) => text(req.params.id));
const ready: Health = health({
  checks: { a: async (signal) => fetch("http://a", { signal }), b: () => false },
});
app.get("/orders/:id", ready, (req) => text(req.params.id));
ready.close();
health({ checks: { a: { check: () => true, timeoutMs: 1, everyMs: 1, required: false } }, details: true });
// @ts-expect-error a check is a function
health({ checks: { a: Promise.resolve(true) } });
// @ts-expect-error checks are required
health({});
csrf({ trustedOrigins: ["https://a.example"], onReject: (reason, req) => text(`${reason} ${req.ip}`) });
allowedHosts(["a.example"] as const, { onReject: (reason: string) => text(reason), explain: false });
notFound({ methodNotAllowed: false });
portico({
  allowedHosts: { hosts: ["a.example"], explain: true },
  csrf: {},
  notFound: { methodNotAllowed: true },
});
portico({ allowedHosts: ["a.example"], csrf: false });
portico({
  cors: { origin: (origin, req) => origin === `https://${req.hostname}` },
  cspReports: { path: "/csp", onReport: (report, req) => text(`${report.type} ${req.ip}`) },
  cache: { key: (req) => req.path, hosts: ["a.example"] },
  compress: { levels: { br: 4 }, filter: (req, res) => req.secure && res.statusCode === 200 },
  timeout: { ms: 1_000, onLate: (_error, req) => text(req.path) },
  render: (problem, req, res) => void res.json({ title: problem.title, path: req.path }),
});
portico({ timeout: 1_000, cache: {}, compress: false, cspReports: false, bodyLimit: "1mb" });
portico({ bodyLimit: { limit: 1_000, timeMs: 5_000 } });
// @ts-expect-error a time limit that is undefined may be a missing environment variable
portico({ timeout: undefined });
// @ts-expect-error the path is required
portico({ cspReports: { onReport() {} } });
// @ts-expect-error true does not say what to do
portico({ compress: true });
app.get("/orders/:id", cors(), (req) => text(req.params.id));
app.get("/orders/:id", cache(), compress(), timeout(1000), (req) => text(req.params.id));
app.get("/orders/:id", cspReports({ onReport() {} }), (req) => text(req.params.id));
app.get("/orders/:id", authenticate(apiKey({ keys: ["key"] })), (req) => text(req.params.id));
app.get(
  "/orders/:id",
  authorize((req) => req.secure),
  requireScopes("a"),
  (req) => text(req.params.id),
);
app.get(
  "/orders/:id",
  when((req) => req.secure, cors()),
  (req) => text(req.params.id),
);
app.get(
  "/orders/:id",
  unless((req) => req.secure, cors()),
  (req) => text(req.params.id),
);
app.get(
  "/orders/:id",
  around(async (_req, _res, next) => void (await next())),
  (req) => text(req.params.id),
);
app.get("/orders/:id", chain(cors()).then(cors()), (req) => text(req.params.id));
app.get("/orders/:id", recover.wrap(express.Router()), (req) => text(req.params.id));
app.get("/orders/:id", notFound(), (req) => text(req.params.id));
app.use("/orders/:id", cors(), (req, _res, next) => {
  text(req.params.id);
  next();
});
app
  .route("/orders/:id")
  .all(cors())
  .get(authenticate(apiKey({ keys: ["key"] })), (req, res) => void res.send(req.params.id.trim()));
app.post<{ id: string }, string, { amount: number }>("/orders/:id", cors(), (req, res) => {
  res.send(req.params.id + req.body.amount.toFixed());
});
express.Router({ mergeParams: true }).get("/a/:b", timeout(5), (req) => text(req.params.b));

// Callbacks may name the route that they are for.
app.get(
  "/orders/:id",
  authorize((req: Request<{ id: string }>) => req.params.id.startsWith("a")),
  when((req: Request<{ id: string }>) => req.params.id === "b", cors()),
  around(async (req: Request<{ id: string }>, _res, next) => {
    text(req.params.id);
    await next();
  }),
  (req) => text(req.params.id),
);

// They go wherever Express takes a handler.
const plain: RequestHandler = cors();
const forRoute: RequestHandler<{ id: string }> = cors();
const onError: ErrorRequestHandler = recover();
const list: RequestHandler[] = [plain, cors(), timeout(5)];
const handlers: readonly Handler[] = [cors(), timeout(5)];
const errorHandlers: ErrorHandler[] = [recover()];
const { before, after } = portico({ cors: { origin: "https://app.example" } });
app.use(before);
app.use("/api", ...before);
app.use(after);
app.use([cors(), recover()]);
app.use(plain, onError, ...list, ...handlers, ...errorHandlers);
app.use("/:id", forRoute);

// A principal is any object, and keeps its type.
const byMap = bearer({ verify: (token) => users.get(token) });
const byClass = bearer({ verify: async (token) => (token === "a" ? new Account(1) : false) });
const yesOrNo = bearer({ verify: async (token) => token === "a" });
const declared = bearer({ verify: async (token): Promise<User | boolean> => users.get(token) ?? false });
const named = bearer<User>({ verify: async (token) => users.get(token) });
const claims = jwt({ issuer: "a", audience: "b", algorithms: ["RS256"], jwks: "https://a.example/jwks" });
const untyped: Scheme = byMap;
chain(authenticate(byMap)).then((req) => same<User>()(req.auth.principal));
chain(authenticate(byClass)).then((req) => same<Account>()(req.auth.principal));
chain(authenticate(declared)).then((req) => same<User>()(req.auth.principal));
chain(authenticate(named)).then((req) => same<User>()(req.auth.principal));
chain(authenticate([byMap, byClass])).then((req) => same<User | Account>()(req.auth.principal));
chain(authenticate(yesOrNo)).then((req) => same<unknown>()(req.auth.principal.any));
chain(authenticate(untyped)).then((req) => same<unknown>()(req.auth.principal.any));
chain(authenticate(claims)).then((req) => same<unknown>()(req.auth.principal.any));
chain(authenticate(basic({ users: { ann: "secret" } }))).then((req) => text(req.auth.principal.name));
chain(authenticate(basic({ verify: async (user, password) => user === password }))).then((req) => {
  text(req.auth.principal.name);
});
chain(authenticate(apiKey({ keys: { key: { role: "admin" } } }))).then((req) => {
  text(req.auth.principal.role);
});
chain(authenticate(byMap, { optional: true })).then((req) => {
  same<User | undefined>()(req.auth?.principal);
});
app.get("/me", authenticate(byMap), (req, res) => {
  res.json(contextOf<User>(req).auth?.principal.age.toFixed());
  same<unknown>()(contextOf(req).auth?.principal.any);
  text(currentContext<User>()?.auth?.principal.name ?? "");
});

// A server without HTTP/2 is what ws and socket.io take.
export async function start(): Promise<void> {
  const { server } = await serve(app, { port: 0 });
  const asNode: import("node:http").Server | import("node:https").Server = server;
  asNode.on("upgrade", (_req, socket) => socket.destroy());
  const withHttp2: Served = await serve(app, { port: 0, http2: true });
  await withHttp2.close();
}
