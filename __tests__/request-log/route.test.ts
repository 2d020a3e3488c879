import type express5 from "express";
import fc from "fast-check";
import { deriveTemplate } from "../../src/lib/express/mount-path.js";
import { requestLog } from "../../src/request-log/index.js";
import { expressVersions } from "../support/express.js";
import { closeServers, listen } from "../support/server.js";
import { memoryStream } from "./memory.js";

afterEach(closeServers);

describe.each(expressVersions)("the route in the log, on %s", (_version, express) => {
  const send: express5.RequestHandler = (_req, res) => {
    res.send("x");
  };

  async function routes(build: (app: express5.Express) => void, ...paths: string[]) {
    const stream = memoryStream();
    const app = express();
    app.use(requestLog({ stream, format: "json" }));
    build(app);
    app.use(((_error, _req, res, _next) => {
      res.status(500).send("failed");
    }) as express5.ErrorRequestHandler);
    const { url } = await listen(app);
    for (const path of paths) await fetch(url + path);
    return stream.entries.map((entry) => entry.route);
  }

  it("is the template, not the path", async () => {
    const build = (app: express5.Express) => {
      app.get("/item/:id", send);
      app.get("/", send);
    };
    expect(await routes(build, "/item/1", "/item/2?x=1", "/")).toEqual(["/item/:id", "/item/:id", "/"]);
  });

  it("has the templates of the routers around it, also with parameters, and no value of this request", async () => {
    const build = (app: express5.Express) => {
      const inner = express.Router({ mergeParams: true });
      inner.get("/item/:id", send);
      inner.get("/", send);
      const middle = express.Router({ mergeParams: true });
      middle.use("/v1", inner);
      app.use("/api/:tenant", middle);
    };
    const paths = ["/api/a/v1/item/3", "/api/API/V1/item/4", "/api/v1/v1", "/api/%2fx/v1/"];
    expect(await routes(build, ...paths)).toEqual([
      "/api/:tenant/v1/item/:id",
      "/api/:tenant/v1/item/:id",
      "/api/:tenant/v1",
      "/api/:tenant/v1",
    ]);
  });

  it("is found in a sub-application, and in a router that is mounted at the root", async () => {
    const build = (app: express5.Express) => {
      const sub = express();
      sub.get("/item/:id", send);
      app.use("/sub", sub);
      const atRoot = express.Router();
      atRoot.get("/root/:x", send);
      app.use(atRoot);
    };
    expect(await routes(build, "/sub/item/1", "/root/1")).toEqual(["/sub/item/:id", "/root/:x"]);
  });

  it("distinguishes the two places of a router that is mounted twice", async () => {
    const build = (app: express5.Express) => {
      const router = express.Router();
      router.get("/item/:id", send);
      app.use("/a", router);
      app.use("/b", router);
    };
    const paths = ["/a/item/1", "/b/item/2", "/a/item/3"];
    expect(await routes(build, ...paths)).toEqual(["/a/item/:id", "/b/item/:id", "/a/item/:id"]);
  });

  it("stays when the route fails and the response is sent by an error handler", async () => {
    const build = (app: express5.Express) => {
      const router = express.Router();
      router.get("/item/:id", () => {
        throw new Error("boom");
      });
      app.use("/api", router);
    };
    expect(await routes(build, "/api/item/1")).toEqual(["/api/item/:id"]);
  });

  it("is absent where no route matched: a 404, a handler that was given to use", async () => {
    const build = (app: express5.Express) => {
      app.use("/static", send);
      app.get("/x", send);
    };
    expect(await routes(build, "/static/a", "/static", "/missing")).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  it("does not depend on a rewritten url", async () => {
    const build = (app: express5.Express) => {
      const router = express.Router();
      router.use((req, _res, next) => {
        req.url = "/item/9";
        next();
      });
      router.get("/item/:id", send);
      app.use("/api", router);
    };
    expect(await routes(build, "/api/whatever")).toEqual(["/api/item/:id"]);
  });

  it("of a RegExp or a list is what was written, never what matched", async () => {
    const build = (app: express5.Express) => {
      app.get(/^\/re\/\d+$/, send);
      app.get(["/one/:a", "/two/:a"], send);
      const router = express.Router();
      router.get("/x", send);
      app.use(/^\/mount\d+/, router);
    };
    const [regexp, list, mounted] = await routes(build, "/re/42", "/two/1", "/mount77/x");
    expect(regexp).toBe("/^\\/re\\/\\d+$/");
    expect(list).toBe("(/one/:a|/two/:a)");
    expect(mounted ?? "").not.toContain("77");
  });

  it("is left out if it is not certain", async () => {
    const build = (app: express5.Express) => {
      const router = express.Router();
      router.get("/x", send);
      app.use("/v:version", router);
    };
    const [route] = await routes(build, "/v12/x");
    expect([undefined, "/v:version/x"]).toContain(route);
  });
});

describe("a template derived from a path", () => {
  it("is the template from which the path was made", () => {
    const literal = fc.stringMatching(/^[a-z]{1,4}$/);
    const segment = fc.record({ literal, value: literal, isParam: fc.boolean() });
    fc.assert(
      fc.property(fc.array(segment, { minLength: 1, maxLength: 5 }), (segments) => {
        const template = segments.map((s, i) => (s.isParam ? `:p${i}` : s.literal));
        const path = segments.map((s) => (s.isParam ? s.value : s.literal));
        const again = (other: string) => {
          const parts = other.split("/").slice(1);
          const params: Record<string, string> = {};
          for (const [i, s] of segments.entries()) {
            if (s.isParam) params[`p${i}`] = parts[i]!;
            else if (parts[i] !== s.literal) return undefined;
          }
          return params;
        };
        const whole = `/${path.join("/")}`;
        expect(deriveTemplate(whole, again(whole)!, again)).toBe(`/${template.join("/")}`);
      }),
    );
  });
});
