import express5, { type Express, type RequestHandler } from "express";
import request from "supertest";
import { type SecurityHeadersOptions, securityHeaders } from "../../src/security-headers/index.js";
import { expressVersions } from "../support/express.js";
import { closeServers, listen } from "../support/server.js";

afterEach(closeServers);

const variants: [string, SecurityHeadersOptions | undefined][] = [
  ["the defaults", undefined],
  ["preset helmet", { preset: "helmet" }],
  ["no policy", { contentSecurityPolicy: false }],
  ["a report-only policy", { contentSecurityPolicy: { reportOnly: true } }],
  ["a nonce", { preset: "page" }],
  ["override false", { override: false }],
];

describe.each(expressVersions)("on %s", (_version, express) => {
  const app = (...handlers: RequestHandler[]): Express => {
    const made = express();
    for (const handler of handlers) made.use(handler);
    return made;
  };
  const ok: RequestHandler = (_req, res) => void res.send("ok");
  const ended: RequestHandler = (_req, res) =>
    void res.writeHead(200, { "Content-Type": "text/plain" }).end("ok");

  describe.each(variants)("with %s, X-Powered-By is gone", (_name, options) => {
    it.each<[string, (mw: RequestHandler) => Express]>([
      ["of an app mounted later", (mw) => app(mw, app(ok))],
      ["of an app mounted at a path", (mw) => app(mw).use("/deep", app(ok)) as Express],
      ["of an app in an app in an app", (mw) => app(mw, app(app(app(ended))))],
      [
        "of an app mounted before, which hands the request on",
        (mw) =>
          app(
            app((_req, _res, next) => next()),
            mw,
            ok,
          ),
      ],
      ["of a mounted app that has it itself", (mw) => app(app(mw, ok))],
      ["of an app in a mounted app that has it itself", (mw) => app(app(mw, app(ended)))],
      ["of a mounted app's own 404", (mw) => app(mw, app())],
      [
        "of a mounted app's own 500",
        (mw) =>
          app(
            mw,
            app(() => {
              throw Object.assign(new Error("x"), { status: 503 });
            }),
          ),
      ],
      [
        "of an app of the other Express",
        (mw) => app(mw).use(((req, res) => foreign(ok)(req, res)) as RequestHandler),
      ],
    ])("%s", async (_where, made) => {
      jest.spyOn(console, "error").mockImplementation(() => {});
      const { headers } = await request(made(securityHeaders(options)))
        .get("/deep")
        .ok(() => true);
      jest.restoreAllMocks();
      expect(headers).not.toHaveProperty("x-powered-by");
      expect(headers).toHaveProperty("x-content-type-options", "nosniff");
    });
  });

  const foreign = (handler: RequestHandler) => {
    const [, other] = expressVersions.find(([, one]) => one !== express)!;
    return other().use(handler as never) as unknown as (req: unknown, res: unknown) => void;
  };

  it("a handler's own X-Powered-By stays", async () => {
    const own: RequestHandler = (_req, res) => void res.set("X-Powered-By", "steam").send("ok");
    const { headers } = await request(app(securityHeaders(), app(own))).get("/");
    expect(headers["x-powered-by"]).toBe("steam");
  });

  it("an app with the setting off sends none", async () => {
    const quiet = app(ok).disable("x-powered-by");
    const { headers } = await request(app(securityHeaders(), quiet)).get("/");
    expect(headers).not.toHaveProperty("x-powered-by");
  });
});

it("X-Powered-By of an Express app inside a plain node:http handler is removed", async () => {
  const handler = securityHeaders({ contentSecurityPolicy: false });
  const below = express5().use((_req, res) => void res.send("ok"));
  const { url } = await listen((req, res) => handler(req as never, res as never, () => below(req, res)));
  expect((await request(url).get("/").expect(200)).headers).not.toHaveProperty("x-powered-by");
});
