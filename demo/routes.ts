import { setTimeout as sleep } from "node:timers/promises";
import express, { type Request, Router } from "express";
import {
  authenticate,
  authorize,
  basic,
  bearer,
  contextOf,
  cors,
  type RecoverOptions,
  recover,
  securityHeaders,
} from "express-portico";
import { homePage } from "./pages/home.js";

interface RoutesOptions {
  readonly ownOrigin: string;
  readonly otherOrigin: string;
  readonly recovery: RecoverOptions | undefined;
}

/** Who may enter the demo's /admin. Real ones are looked up, not written down. */
const tokens = new Map([
  ["demo-reader", { name: "reader", role: "reader" }],
  ["demo-owner", { name: "owner", role: "owner" }],
]);

export function routes({ ownOrigin, otherOrigin, recovery }: RoutesOptions): Router {
  const router = Router();

  // A page with an inline style: a nonce for each request, and the rest of the headers as they are everywhere.
  router.get("/", securityHeaders({ contentSecurityPolicy: { nonce: true } }), (_req, res) => {
    res.type("html").send(homePage({ ownOrigin, otherOrigin, nonce: res.locals.cspNonce as string }));
  });

  router.get("/hello", (_req, res) => void res.send("Hello, world\n"));
  router.post("/hello", express.json(), (req, res) => void res.json({ hello: req.body?.name ?? "world" }));
  router.get("/headers", (req, res) => void res.json(req.headers));
  router.get("/open", (_req, res) => void res.json({ open: true }));
  router.get(
    "/partners",
    cors({ origin: "https://partner.example" }),
    (_req, res) => void res.json({ partners: 1 }),
  );

  router.get("/panic", () => {
    throw new Error("the handler panicked");
  });
  router.get("/panic-async", async () => {
    await sleep(10);
    throw new Error("the handler panicked after a while");
  });
  router.get("/panic-late", async (_req, res) => {
    res.write("The first half of an answer, ");
    await sleep(10);
    throw new Error("the handler panicked half-way");
  });
  router.post("/upload", () => {
    throw new Error("the handler panicked before it read the upload");
  });

  // Recovery as Go has it: wrapped around a router, as its outermost layer.
  const wrapped = Router();
  wrapped.get("/panic", () => {
    throw new Error("the handler panicked inside the wrapped router");
  });
  wrapped.get("/hello", (_req, res) => void res.send("Hello from inside\n"));
  router.use("/wrapped", recover.wrap(wrapped, recovery));

  router.use("/admin", admin());
  return router;
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
