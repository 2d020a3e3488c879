// What must compile, and what must not. Checked by `npm run typecheck`, and by types/programs.soak.test.ts.
import http from "node:http";
import express, { type ErrorRequestHandler, type Request, type RequestHandler } from "express";
import { apiKey, authenticate, authorize } from "../../src/auth/index.js";
import { around, type Chain, chain, type Middleware, unless, when } from "../../src/chain/index.js";
import { recover } from "../../src/recover/index.js";

interface User {
  readonly id: string;
}

const addsUser: Middleware<{ user: User }> = (req, _res, next) => {
  req.user = { id: "ann" };
  next();
};
const addsRole: Middleware<{ role: string }, { user: User }> = (req, _res, next) => {
  req.role = req.user.id;
  next();
};
const needsRole: Middleware<unknown, { role: string }> = (req, _res, next) => next(req.role.length);
const addsGreeting: Middleware<{ greeting: string }> = (req, _res, next) => {
  req.greeting = "Hello";
  next();
};
const plain: RequestHandler = (_req, _res, next) => next();
const withParams: RequestHandler<{ id: string }> = (req, _res, next) => next(req.params.id.length);
const onError: ErrorRequestHandler = (_err, _req, _res, next) => next();
const scheme = apiKey({ keys: ["k"] });
const app = express();

// A handler sees what those before it add.
chain(addsUser).then((req, res) => void res.send(req.user.id));
chain(addsUser, addsRole).then((req, res) => void res.send(req.user.id + req.role));
chain(addsUser, plain, express.json(), addsRole, needsRole).then((req, res) => void res.send(req.role));
chain(addsUser)
  .append(plain)
  .append((req, _res, next) => next(req.user.id.length))
  .append(addsRole)
  .append(needsRole)
  .then((req, res) => void res.send(req.role));
chain(addsUser, (req, _res, next) => next(req.user.id.length)).then((req) => req.user.id);
chain(plain).extend(chain(addsUser)).append(addsRole);

// Error handlers can be anywhere.
chain(onError, addsUser, (req, _res, next) => next(req.user.id.length)).then((req) => req.user.id);
chain(recover(), plain, (req, _res, next) => next(req.method)).then(express.Router());
chain(addsUser, onError, addsRole, onError, needsRole).then((req) => req.role);

// A spread list adds nothing.
const list: RequestHandler[] = [plain];
chain(...list).then(plain);
chain((req, _res, next) => next(req.method), ...list).then(plain);
chain(addsUser).append(...list, (req, _res, next) => next(req.user.id));
chain(addsUser)
  .append(...list)
  .then((req) => req.user.id);
const mixed: (RequestHandler | ErrorRequestHandler)[] = [plain, onError];
chain(...mixed).then(plain);
chain(plain, plain, plain, plain, plain, plain, plain, plain, onError).then(plain);

// Handlers made for a route's parameters.
chain(withParams).then<{ id: string }>((req, res) => void res.send(req.params.id.trim()));
chain(addsUser).then(withParams);
chain().then(withParams);
app.get(
  "/item/:id",
  chain(addsUser).then<{ id: string }>((req) => req.params.id.trim() + req.user.id),
);

// authenticate
chain(authenticate(scheme)).then((req, res) => void res.json(req.auth.principal));
chain(authenticate([scheme], {})).then((req) => req.auth.scheme);
chain(plain).append(authenticate(scheme), (req, _res, next) => next(req.auth.scheme.length));
chain(authenticate(scheme, { optional: true })).then((req) => req.auth?.principal);
chain(authenticate(scheme, { optional: true }), authenticate(scheme)).then((req) => req.auth.principal);
chain(
  authenticate(scheme),
  authorize((req) => req.method === "GET"),
).then((req) => req.auth.principal);

// The result, and handlers that need nothing, can be used wherever Express takes a handler.
const handler: RequestHandler = chain(addsUser).then(() => {});
app.use(handler, addsUser, authenticate(scheme));
app.use("/a", [handler, addsUser, authenticate(scheme)]);
app.get("/x", authenticate(scheme), addsUser, handler);
app.get("/x/:id", authenticate(scheme), handler, (req, res) => void res.send(req.params.id));
app.route("/y").get(authenticate(scheme, { optional: true }), handler);
app.use(around(async (_req, _res, next) => void (await next()).status));
app.use(
  when((req) => req.method === "GET", handler),
  unless(async () => true, authenticate(scheme)),
);
http.createServer((req, res) => handler(req as Request, res as never, () => res.end()));
const typed: Chain<{ user: User }> = chain(addsUser);
typed.append(addsRole);
const asMiddleware: Middleware<{ auth: unknown }> = authenticate(scheme);
chain(asMiddleware);

// What is missing is a compile error.
// @ts-expect-error no handler before it adds `role`
chain().then((req) => req.role);
// @ts-expect-error `auth` is missing
chain().then((req) => req.auth);
// @ts-expect-error it is too early for `role`
chain(addsRole);
// @ts-expect-error the wrong way round
chain(addsRole, addsUser);
// @ts-expect-error the wrong way round
chain(plain, addsRole).append(addsUser);
// @ts-expect-error `role` is missing
chain(addsUser).append(needsRole);
// @ts-expect-error after an error handler too
chain(recover(), addsRole);
// @ts-expect-error in a long list as well
chain(plain, plain, plain, plain, plain, plain, plain, addsRole);
// @ts-expect-error the order within `extend`
chain(plain).append(addsRole).extend(chain(addsUser));
// @ts-expect-error only an addition of the right type will do
chain((() => {}) as Middleware<{ user: string }>).append(addsRole);
// @ts-expect-error `then` checks its handler too
chain(plain).then(addsRole);
// @ts-expect-error anonymous callers have no principal
chain(authenticate(scheme, { optional: true })).then((req) => req.auth.principal);
// @ts-expect-error nor has a preflight that is handed on
chain(authenticate(scheme, { preflight: "pass" })).then((req) => req.auth.principal);
// @ts-expect-error outside a chain, nothing is known to be added
app.get("/z", addsGreeting, (req) => req.greeting);
// @ts-expect-error and what needs something cannot be mounted
app.use(addsRole);
// @ts-expect-error a chain is no handler before `then`
app.use(chain(plain));
// @ts-expect-error an error handler cannot be the last one
chain(plain).then(onError);
// @ts-expect-error a list is no member
chain([plain]);
// @ts-expect-error
chain(undefined);
// @ts-expect-error
chain(plain).append("x");
// @ts-expect-error a predicate answers with true or false
when((req) => req.get("x"), plain);
// @ts-expect-error it is called with the request alone
unless((_req, _res) => true, plain);
// @ts-expect-error one handler, not a list
when(() => true, [plain]);
// @ts-expect-error a parameter that the handler does not have
chain(plain).then<{ id: string }>((req) => req.params.nope);
