import type { RequestHandler } from "express";
import request from "supertest";
import type { SecurityHeadersOptions } from "../../src/security-headers/index.js";
import { expressVersions } from "../support/express.js";
import { closeServers, listen } from "../support/server.js";

const CODE = "PORTICO_HSTS_NOT_SENT";
let warned: jest.SpyInstance;
beforeEach(() => {
  warned = jest.spyOn(process, "emitWarning").mockImplementation(() => {});
});
afterEach(async () => {
  warned.mockRestore();
  await closeServers();
});

/** A new copy of the modules, which has not warned yet. */
function freshly(): (options?: SecurityHeadersOptions) => RequestHandler {
  let made!: typeof import("../../src/security-headers/index.js");
  jest.isolateModules(() => {
    made = jest.requireActual("../../src/security-headers/index.js");
  });
  return made.securityHeaders;
}
const codes = () => warned.mock.calls.map(([, options]) => (options as { code: string }).code);

describe.each(expressVersions)("on %s", (_version, express) => {
  const app = (trust: unknown, ...handlers: RequestHandler[]) => {
    const made = express();
    made.set("trust proxy", trust);
    for (const handler of handlers) made.use(handler);
    return made.use((_req, res) => void res.send("ok"));
  };
  const ask = async (made: ReturnType<typeof app>, proto?: string) => {
    const asked = request(made).get("/");
    return (await (proto === undefined ? asked : asked.set("X-Forwarded-Proto", proto))).headers;
  };

  it.each([
    "production",
    "development",
  ])("in %s an untrusted peer that says https is warned of, once per process", async (env) => {
    const before = process.env.NODE_ENV;
    process.env.NODE_ENV = env;
    try {
      const securityHeaders = freshly();
      const one = app(false, securityHeaders());
      const other = app("10.0.0.1", securityHeaders({ preset: "page" }));
      for (const made of [one, other, one]) {
        expect(await ask(made, "https")).not.toHaveProperty("strict-transport-security");
      }
      expect(codes()).toEqual([CODE]);
      expect(warned.mock.calls[0]![0]).toMatch(/app\.set\("trust proxy".*strictTransportSecurity: false/);
    } finally {
      process.env.NODE_ENV = before;
    }
  });

  it.each(["https, http", " https ", "https,"])("so is one that says %j", async (proto) => {
    await ask(app(false, freshly()()), proto);
    expect(codes()).toEqual([CODE]);
  });

  it.each<[string, unknown, SecurityHeadersOptions | undefined, string | undefined]>([
    ["a trusted proxy says https", true, undefined, "https"],
    ["a trusted proxy says http", true, undefined, "http"],
    ["an untrusted peer says http", false, undefined, "http"],
    ["an untrusted peer says http for the first hop", false, undefined, "http, https"],
    ["an untrusted peer says another thing", false, undefined, "httpsomething"],
    ["no X-Forwarded-Proto", false, undefined, undefined],
    [
      "the header is off, as behind a proxy that sends it",
      false,
      { strictTransportSecurity: false },
      "https",
    ],
    ["the header is sent over http too, as helmet does", false, { preset: "helmet" }, "https"],
  ])("nothing is said where %s", async (_name, trust, options, proto) => {
    await ask(app(trust, freshly()(options)), proto);
    expect(codes()).toEqual([]);
  });

  it("a second one on a route that turns the header on warns as the first does", async () => {
    const securityHeaders = freshly();
    const off = securityHeaders({ strictTransportSecurity: false });
    await ask(app(false, off, securityHeaders({ frameOptions: "deny" })), "https");
    expect(codes()).toEqual([]);
    await ask(app(false, off, securityHeaders({ strictTransportSecurity: {} })), "https");
    expect(codes()).toEqual([CODE]);
  });
});

it("outside Express, where no proxy is trusted, the warning says so", async () => {
  const handler = freshly()();
  const { url } = await listen((req, res) => handler(req as never, res as never, () => res.end()));
  await request(url).get("/").set("X-Forwarded-Proto", "https");
  expect(codes()).toEqual([CODE]);
  expect(warned.mock.calls[0]![0]).toMatch(/outside Express no proxy is trusted/);
});

it("a hostile value is not repeated, and costs no time", async () => {
  const handler = freshly()();
  const { url } = await listen((req, res) => handler(req as never, res as never, () => res.end()));
  await request(url)
    .get("/")
    .set("X-Forwarded-Proto", `https,${"\u00ff".repeat(4_000)}`);
  await request(url).get("/").set("X-Forwarded-Proto", " ".repeat(8_000));
  expect(warned).toHaveBeenCalledTimes(1);
  expect(warned.mock.calls[0]![0]).toMatch(/^[\x20-\x7e…]{1,600}$/);
});
