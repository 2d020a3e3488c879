import request from "supertest";
import type { RequestContextOptions } from "../../src/context/index.js";
import { expressVersions } from "../support/express.js";

const UNSET = "PORTICO_TRUST_PROXY_UNSET";
const ALL = "PORTICO_TRUST_PROXY_ALL";
const UNTOUCHED = Symbol("never set");

let warned: jest.SpyInstance;
beforeEach(() => {
  warned = jest.spyOn(process, "emitWarning").mockImplementation(() => {});
  jest.spyOn(process.stderr, "write").mockReturnValue(true);
});
afterEach(() => jest.restoreAllMocks());

const codes = () => warned.mock.calls.map(([, options]) => (options as { code: string }).code);
const message = () => String(warned.mock.calls[0]?.[0]);

/** A new copy of the modules, which has not warned yet. */
function freshly(): typeof import("../../src/context/index.js").requestContext {
  let made!: typeof import("../../src/context/index.js");
  jest.isolateModules(() => {
    made = jest.requireActual("../../src/context/index.js");
  });
  return made.requestContext;
}

describe.each(expressVersions)("on %s", (_version, express) => {
  function appWith(trust: unknown, requestContext = freshly(), options: RequestContextOptions = {}) {
    const app = express();
    if (trust !== UNTOUCHED) app.set("trust proxy", trust);
    app.use(requestContext(options));
    return app.get("/", (_req, res) => void res.send("ok"));
  }

  it.each([
    [
      "X-Forwarded-For",
      "192.0.2.1",
      /has X-Forwarded-For, .*app\.set\("trust proxy", 1\).*docs\/proxies\.md/,
    ],
    ["Forwarded", "for=192.0.2.1", /has Forwarded, .*Express reads X-Forwarded-For, not Forwarded/],
    ["X-Forwarded-For", "", /has X-Forwarded-For/],
  ])("%s: %j without the setting is warned of once, at the first such request", async (name, value, text) => {
    const requestContext = freshly();
    const app = appWith(UNTOUCHED, requestContext);
    await request(app).get("/").expect(200);
    expect(codes()).toEqual([]);
    await request(app).get("/").set(name, value).expect(200);
    await request(app).get("/").set(name, value).expect(200);
    await request(appWith(UNTOUCHED, requestContext)).get("/").set(name, value).expect(200);
    expect(codes()).toEqual([UNSET]);
    expect(message()).toMatch(text);
  });

  it("`true` is warned of at the first request", async () => {
    const app = appWith(true);
    await request(app).get("/").expect(200);
    await request(app).get("/").set("X-Forwarded-For", "192.0.2.1").expect(200);
    expect(codes()).toEqual([ALL]);
    expect(message()).toMatch(/every client can choose its req\.ip/);
  });

  it.each([
    [1],
    [2],
    [false],
    ["loopback"],
    [["10.0.0.0/8"]],
    [() => true],
  ])("nothing is said of %p", async (trust) => {
    const app = appWith(trust);
    await request(app).get("/").set("X-Forwarded-For", "192.0.2.1").expect(200);
    expect(codes()).toEqual([]);
  });

  it.each([
    [UNTOUCHED, []],
    [1, []],
    [true, [ALL]],
  ])("a mounted app has the setting of the app around it: %p", async (trust, expected) => {
    const outer = express();
    if (trust !== UNTOUCHED) outer.set("trust proxy", trust);
    outer.use("/in", appWith(UNTOUCHED));
    await request(outer).get("/in").expect(200);
    expect(codes()).toEqual(expected);
    await request(outer).get("/in").set("X-Forwarded-For", "192.0.2.1").expect(200);
    expect(codes()).toEqual(trust === UNTOUCHED ? [UNSET] : expected);
  });

  it("nothing is said with check: false, and in production", async () => {
    const off = appWith(true, freshly(), { check: false });
    await request(off).get("/").set("X-Forwarded-For", "192.0.2.1").expect(200);
    const before = process.env.NODE_ENV;
    process.env.NODE_ENV = "production";
    const inProduction = [appWith(true), appWith(UNTOUCHED)];
    process.env.NODE_ENV = before;
    for (const app of inProduction) {
      await request(app).get("/").set("X-Forwarded-For", "192.0.2.1").expect(200);
    }
    expect(codes()).toEqual([]);
  });

  it("what a client writes in the header is not repeated", async () => {
    await request(appWith(UNTOUCHED)).get("/").set("X-Forwarded-For", "evil\u00ff".repeat(1_000)).expect(200);
    expect(codes()).toEqual([UNSET]);
    expect(message()).toMatch(/^[\x20-\x7e]{1,600}$/);
  });
});
