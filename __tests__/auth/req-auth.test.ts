import express, { type Request, type RequestHandler } from "express";
import { expressjwt } from "express-jwt";
import request from "supertest";
import { authenticate, authorize, bearer, contextOf, requestLog, requireScopes } from "../../src/index.js";
import { jwt } from "../../src/jwt/index.js";
import { good, SECRET } from "../jwt/support.js";
import { memoryLogger } from "../support/logger.js";

/** What the MCP SDK's `requireBearerAuth` puts on a request. */
const authInfo = { token: "t", clientId: "c", scopes: ["mcp"], expiresAt: 4_102_444_800 };
const mcp: RequestHandler = (req, _res, next) => {
  (req as Request & { auth?: unknown }).auth = authInfo;
  next();
};
const theirs = expressjwt({ secret: SECRET, algorithms: ["HS256"] });
const ours = bearer({ verify: (token) => token !== "bad" && { name: "ann", scope: "orders:read" } });
const sent = `Bearer ${good("HS256")}`;

/** Answers with the auth on the request and in the request state. */
function appWith(...handlers: RequestHandler[]) {
  const logger = memoryLogger();
  const app = express();
  app.use(requestLog({ logger }), ...handlers);
  app.get("/scoped", requireScopes("orders:read"), (_req, res) => void res.send("in"));
  app.get(
    "/owner",
    authorize((req) => contextOf(req).auth?.principal.name === "ann"),
    (_req, res) => void res.send("in"),
  );
  app.get("/", (req, res) => {
    const auth = (req as Request & { auth?: unknown }).auth;
    res.json({ auth, ours: contextOf(req).auth ?? null });
  });
  return { app, logger };
}

const get = (app: express.Express, path = "/", authorization: string | null = sent) => {
  const asked = request(app).get(path);
  return authorization === null ? asked : asked.set("Authorization", authorization);
};
const ourAuth = { scheme: "bearer", principal: { name: "ann", scope: "orders:read" } };

describe("req.auth of express-jwt beside ours", () => {
  it("mounted before ours: ours is on the request and in the request state", async () => {
    const { app } = appWith(theirs, authenticate(ours));
    const { body } = await get(app).expect(200);
    expect(body).toEqual({ auth: ourAuth, ours: ourAuth });
  });

  it("mounted after ours: theirs is on the request, but requireScopes, authorize and the log use ours", async () => {
    const { app, logger } = appWith(authenticate(ours), theirs);
    const { body } = await get(app).expect(200);
    expect(body).toEqual({ auth: expect.objectContaining({ sub: "ann" }), ours: ourAuth });
    await get(app, "/scoped").expect(200);
    await get(app, "/owner").expect(200);
    expect(logger.entries[0]!.fields.user).toBe("ann");
  });

  it("mounted alone: the request state has no principal, and requireScopes refuses", async () => {
    const { app, logger } = appWith(theirs);
    const text = `Bearer ${good("HS256", { scope: "orders:read", name: "ann" })}`;
    const { body } = await get(app, "/", text).expect(200);
    expect(body).toEqual({ auth: expect.objectContaining({ name: "ann" }), ours: null });
    await get(app, "/scoped", text).expect(401);
    await get(app, "/owner", text).expect(403);
    expect(logger.entries[0]!.fields.user).toBeUndefined();
  });

  it("mounted before an optional ours without credentials: theirs stays, and the request state has no principal", async () => {
    const { app } = appWith(mcp, authenticate(ours, { optional: true }));
    const { body } = await get(app, "/", null).expect(200);
    expect(body).toEqual({ auth: authInfo, ours: null });
    await get(app, "/scoped", null).expect(401);
  });

  it("a later authenticate that refuses removes the principal, also for error handlers", async () => {
    const { app } = appWith(mcp, authenticate(ours));
    await get(app, "/", "Bearer bad").expect(401);
    const seen: unknown[] = [];
    const failing = express();
    failing.use(authenticate(ours), authenticate(bearer({ verify: () => Promise.reject(new Error("no")) })));
    failing.use(((_error, req, res, _next) => {
      seen.push((req as Request & { auth?: unknown }).auth, contextOf(req).auth);
      res.status(500).end();
    }) as express.ErrorRequestHandler);
    await get(failing).expect(500);
    expect(seen).toEqual([undefined, undefined]);
  });

  it("if both check one token, the stricter one decides", async () => {
    const scheme = jwt({
      issuer: "https://issuer.example/",
      audience: "https://api.example",
      algorithms: ["HS256"],
      key: SECRET,
    });
    const { app } = appWith(theirs, authenticate(scheme));
    await get(app).expect(200);
    await get(app, "/", `Bearer ${good("HS256", { aud: "another" })}`).expect(401);
  });
});

describe("the MCP SDK's AuthInfo beside ours", () => {
  it("with the middleware from docs/auth.md, the transport finds its AuthInfo, and requireScopes still works", async () => {
    const verify = async () => ({ ...authInfo, scope: "orders:read" });
    const handOver: RequestHandler = (req, _res, next) => {
      (req as Request & { auth?: unknown }).auth = contextOf(req).auth?.principal;
      next();
    };
    const { app } = appWith(authenticate(bearer({ verify })), handOver);
    const { body } = await get(app).expect(200);
    expect(body.auth).toMatchObject(authInfo);
    expect(body.ours).toMatchObject({ scheme: "bearer", principal: authInfo });
    await get(app, "/scoped").expect(200);
  });

  it("a request whose auth cannot be written is an error and does not pass", async () => {
    const frozen: RequestHandler = (req, _res, next) => {
      Object.defineProperty(req, "auth", { value: authInfo, writable: false });
      next();
    };
    const { app } = appWith(frozen, authenticate(ours));
    await get(app).expect(500);
    await get(app, "/", "Bearer bad").expect(401);
  });
});

describe("resource_metadata (RFC 9728)", () => {
  const resourceMetadata = "https://mcp.example/.well-known/oauth-protected-resource/mcp";
  const challenged = async (path: string, authorization: string, status: number) => {
    const { app } = appWith(
      authenticate(bearer({ verify: (t) => t === "good" && { name: "x" }, resourceMetadata })),
    );
    const res = await get(app, path, authorization).expect(status);
    return res.headers["www-authenticate"];
  };
  const parameter = `resource_metadata="${resourceMetadata}"`;

  it("is in each challenge: for missing, bad and malformed credentials, and for missing scopes", async () => {
    const missing = await request(
      appWith(authenticate(bearer({ verify: () => false, resourceMetadata }))).app,
    ).get("/");
    expect(missing.headers["www-authenticate"]).toBe(`Bearer realm="api", ${parameter}`);
    expect(await challenged("/", "Bearer bad", 401)).toBe(
      `Bearer realm="api", ${parameter}, error="invalid_token"`,
    );
    expect(await challenged("/", "Bearer", 400)).toBe(
      `Bearer realm="api", ${parameter}, error="invalid_request"`,
    );
    expect(await challenged("/scoped", "Bearer good", 403)).toBe(
      `Bearer error="insufficient_scope", scope="orders:read", ${parameter}`,
    );
  });

  it("is in the challenge of requireScopes for anonymous requests after an optional authenticate", async () => {
    const { app } = appWith(
      authenticate(bearer({ verify: () => false, resourceMetadata }), { optional: true }),
    );
    const res = await request(app).get("/scoped").expect(401);
    expect(res.headers["www-authenticate"]).toBe(`Bearer realm="api", ${parameter}`);
  });

  it("is not in the challenge of a scheme without it, also if another authenticate with it has passed", async () => {
    const { app } = appWith(
      authenticate(bearer({ verify: () => true, resourceMetadata })),
      authenticate(bearer({ verify: () => ({ name: "x" }) })),
    );
    const res = await get(app, "/scoped").expect(403);
    expect(res.headers["www-authenticate"]).toBe('Bearer error="insufficient_scope", scope="orders:read"');
  });

  it.each([
    ["http://127.0.0.1:3000/meta", "http://127.0.0.1:3000/meta"],
    [new URL("https://api.example/a?b=c"), "https://api.example/a?b=c"],
    ['https://api.example/"x"', "https://api.example/%22x%22"],
    ["https://api.example/?a=\\", "https://api.example/?a=\\\\"],
    ["https://ümlaut.example/ä\r\n", "https://xn--mlaut-jva.example/%C3%A4"],
  ])("%s is written as %s", async (given, written) => {
    const { app } = appWith(authenticate(bearer({ verify: () => false, resourceMetadata: given })));
    const res = await get(app).expect(401);
    expect(res.headers["www-authenticate"]).toContain(`resource_metadata="${written}"`);
  });

  it.each([
    "http://api.example/meta",
    "/meta",
    "",
    "https://a.example/#x",
    "https://u:p@a.example/",
    5,
    null,
    "data:,x",
  ])("%p is refused", (given) => {
    const options = { verify: () => true, resourceMetadata: given as string };
    expect(() => bearer(options)).toThrow(/must be an https: URL/);
  });
});

describe("prefix", () => {
  it.each(["", "a b", "ä", "Bearer:", "Basic", "basic", 5])("%p is refused", (prefix) => {
    expect(() => bearer({ verify: () => true, prefix: prefix as string })).toThrow(/prefix/);
  });

  it("in another case names the same scheme", async () => {
    const { app } = appWith(authenticate(bearer({ verify: () => ({ name: "ann" }), prefix: "bEARER" })));
    await get(app).expect(200);
    const res = await get(app, "/", "Basic YTpi").expect(401);
    expect(res.headers["www-authenticate"]).toBe('Bearer realm="api"');
  });
});
