import {
  apiKey,
  authenticate,
  chain,
  checkPipeline,
  cors,
  describePipeline,
  type PipelineNode,
  recover,
  requestContext,
  requestLog,
  when,
} from "../../../src/index.js";
import { expressVersions } from "../../support/express.js";
import { never } from "./never.js";

/** One line for each node. */
function outline(node: PipelineNode): string[] {
  const lines = node.children.flatMap((child) => [
    [child.index, child.kind, child.name, child.methods?.join(), child.path, child.concern]
      .filter((part) => part !== undefined)
      .join(" "),
    ...outline(child),
  ]);
  return node.unseen === undefined ? lines : [...lines, `${node.index} unseen`];
}

describe.each(expressVersions)("%s", (version, express) => {
  function build() {
    const app = express();
    const api = express.Router();
    const items = express.Router({ mergeParams: true });
    const admin = express();
    items
      .route("/:id")
      .get(function read() {})
      .put([never, function write() {}]);
    api.use("/tenants/:tenant/items", items);
    api.use(function apiError(_err: unknown, _req: unknown, _res: unknown, _next: unknown) {} as never);
    admin.get("/users", never);
    app.use(requestLog());
    app.use("/api", api);
    app.use(["/a", "/b"], cors());
    app.use(/^\/old/, when(never, cors()));
    app.use("/admin/v1.0", admin);
    app.use(chain(recover(), cors()).then(api));
    app.all("/x", never);
    return app;
  }

  it("lists all parts with their paths", () => {
    const found = outline(describePipeline(build()));
    expect(found).toEqual([
      "1 middleware requestLog / log",
      "2 router router /api",
      "2.1 router router /api/tenants/:tenant/items",
      "2.1.1 route /:id GET,PUT /api/tenants/:tenant/items/:id",
      "2.1.1.1 middleware read GET /api/tenants/:tenant/items/:id",
      "2.1.1.2 middleware never PUT /api/tenants/:tenant/items/:id",
      "2.1.1.3 middleware write PUT /api/tenants/:tenant/items/:id",
      "2.2 error handler apiError /api",
      expect.stringMatching(
        version === "Express 4" ? /^3 middleware cors \/\S* cors$/ : /^3 middleware cors \(\/a\|\/b\) cors$/,
      ),
      expect.stringMatching(/^4 middleware when \/\^?\^\\\/old\/$/),
      expect.stringMatching(/^4\.1 middleware cors \S+ cors$/),
      "5 app app /admin/v1.0",
      "5.1 route /users GET /admin/v1.0/users",
      "5.1.1 middleware never /admin/v1.0/users",
      "6 middleware chain /",
      "6.1 error handler recover / recover",
      "6.2 middleware cors / cors",
      "6.3 router router /",
      "6.3.1 router router /tenants/:tenant/items",
      "6.3.1.1 route /:id GET,PUT /tenants/:tenant/items/:id",
      "6.3.1.1.1 middleware read GET /tenants/:tenant/items/:id",
      "6.3.1.1.2 middleware never PUT /tenants/:tenant/items/:id",
      "6.3.1.1.3 middleware write PUT /tenants/:tenant/items/:id",
      "6.3.2 error handler apiError /",
      "7 route /x ALL /x",
      "7.1 middleware never /x",
    ]);
  });

  it("says what it cannot see without the inspector", () => {
    const app = build();
    const original = process.getBuiltinModule;
    const missing = jest.spyOn(process, "getBuiltinModule").mockImplementation(((name: string) => {
      if (name === "node:inspector") throw new Error("There is no inspector.");
      return original.call(process, name);
    }) as typeof process.getBuiltinModule);
    const found = describePipeline(app);
    missing.mockRestore();
    expect(found.children[4]!.unseen).toContain("check it by itself");
    expect(found.children[4]!.children).toEqual([]);
    const path = found.children[1]!.path;
    expect(path).toBe(version === "Express 5 with router 2.2" ? "/(?1)" : "/api");
  });

  it("finds a fault in one of the two places of a mounted app, without a request", () => {
    const outer = express();
    const inner = express();
    inner.use(requestContext(), cors());
    inner.get("/", never);
    outer.use((_req, _res, next) => next());
    outer.use("/closed", authenticate(apiKey({ keys: ["k"] })));
    outer.use("/closed", inner);
    outer.use("/open", inner);
    outer.use(recover());
    const faults = checkPipeline(outer).filter(({ level }) => level === "fault");
    expect(faults).toHaveLength(1);
  });

  it("leaves nothing behind", () => {
    const app = build();
    const count = () => process.eventNames().map((name) => process.listenerCount(name as string));
    const before = [count(), Object.getOwnPropertySymbols(process.getBuiltinModule("node:inspector")).length];
    describePipeline(app);
    expect([
      count(),
      Object.getOwnPropertySymbols(process.getBuiltinModule("node:inspector")).length,
    ]).toEqual(before);
    expect(process.getBuiltinModule("node:inspector").url()).toBeUndefined();
  });
});

it.each([undefined, null, {}, () => {}, "app"])("refuses %p, which is not an app", (given) => {
  expect(() => describePipeline(given)).toThrow(TypeError);
});

it("reads an app with a handler whose properties throw", () => {
  const app = expressVersions[0]![1]();
  const shy = new Proxy(function shy() {}, {
    get(target, key) {
      if (typeof key === "symbol") throw new Error("Do not look.");
      return Reflect.get(target, key);
    },
  });
  app.use(shy);
  expect(outline(describePipeline(app))).toEqual(["1 middleware shy /"]);
});

it("an empty app gets its router with the settings of its first route", () => {
  const app = expressVersions[0]![1]();
  expect(describePipeline(app).children).toEqual([]);
  app.enable("strict routing");
  app.get("/a", () => {});
  expect((app.router as unknown as { strict: boolean }).strict).toBe(true);
});

it("the name of a handler may be any value", () => {
  const app = expressVersions[0]![1]();
  app.use(Object.defineProperty(() => {}, "name", { value: Object.create(null) }));
  expect(describePipeline(app).children).toHaveLength(1);
});
