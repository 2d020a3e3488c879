import type { Express } from "express";
import { notFound } from "../../src/not-found.js";
import { expressVersions } from "../support/express.js";
import { closeServers, listen, raw } from "../support/server.js";

afterEach(closeServers);

async function ask(app: Express, method: string, path: string) {
  const { port } = await listen(app);
  const { text } = await raw(port, `${method} ${path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`);
  const [head = "", body = ""] = text.split(/\r\n\r\n/);
  return {
    status: Number(head.slice(9, 12)),
    allow: /^Allow: (.*)$/im.exec(head)?.[1],
    store: /^Cache-Control: (.*)$/im.exec(head)?.[1],
    body,
  };
}

describe.each(expressVersions)("%s", (_version, express) => {
  const build = () => {
    const app = express();
    const send = (_req: unknown, res: { send(text: string): void }) => res.send("reached");
    app.get("/items", send as never);
    app.post("/items", send as never);
    app.put("/items/:id", send as never);
    app.delete("/items/:id", send as never);
    app
      .route("/both")
      .get(send as never)
      .patch(send as never);
    app.all("/everything", (_req, _res, next) => next());
    app.get("/next", (_req, _res, next) => next());
    app.post("/next", send as never);
    app.get("/chosen", (_req, res) => void res.status(404).send("mine"));
    app.get(/^\/pattern\/\d+$/, send as never);
    app.get(["/one", "/two"], send as never);
    const inner = express.Router();
    inner.get("/users", send as never);
    inner.delete("/users/:id", send as never);
    inner.use("/deep", express.Router().post("/x", send as never));
    app.use("/api/:version", inner);
    app.use(express.Router().post("/flat", send as never));
    return app;
  };

  it.each([
    ["DELETE", "/items", 405, "GET, POST, HEAD, OPTIONS"],
    ["PUT", "/items?x=1", 405, "GET, POST, HEAD, OPTIONS"],
    ["GET", "/items/7", 405, "PUT, DELETE, OPTIONS"],
    ["HEAD", "/items/7", 405, "PUT, DELETE, OPTIONS"],
    ["POST", "/both", 405, "GET, PATCH, HEAD, OPTIONS"],
    ["POST", "/ITEMS/", 200, undefined],
    ["PATCH", "/ITEMS/", 405, "GET, POST, HEAD, OPTIONS"],
    ["POST", "/pattern/12", 405, "GET, HEAD, OPTIONS"],
    ["POST", "/pattern/x", 404, undefined],
    ["POST", "/two", 405, "GET, HEAD, OPTIONS"],
    ["POST", "/api/v1/users", 405, "GET, HEAD, OPTIONS"],
    ["GET", "/api/v1/users/3", 405, "DELETE, OPTIONS"],
    ["GET", "/api/v1/deep/x", 405, "POST, OPTIONS"],
    ["GET", "/flat", 405, "POST, OPTIONS"],
    ["PROPFIND", "/flat", 405, "POST, OPTIONS"],
    ["GET", "/everything", 404, undefined],
    ["POST", "/everything", 404, undefined],
    ["GET", "/next", 404, undefined],
    ["HEAD", "/next", 404, undefined],
    ["DELETE", "/next", 405, "GET, POST, HEAD, OPTIONS"],
    ["GET", "/chosen", 404, undefined],
    ["GET", "/nothing", 404, undefined],
    ["POST", "/items/%zz", 400, undefined],
    ["GET", "/api/v1", 404, undefined],
  ])("%s %s: %i, Allow %s", async (method, path, status, allow) => {
    const app = build();
    app.set("env", "test");
    app.use(notFound());
    const answer = await ask(app, method, path);
    expect(answer).toMatchObject({ status, allow });
    if (status === 405) expect(answer.store).toBe("no-store");
  });

  it("OPTIONS of a path that has routes is answered 200 with Allow and no body, of others 404", async () => {
    const app = build().use(notFound());
    expect(await ask(app, "OPTIONS", "/items")).toMatchObject({
      status: 200,
      allow: "GET, POST, HEAD, OPTIONS",
      body: "",
    });
    // In a router that is mounted, Express answers before `notFound` is reached.
    expect(await ask(app, "OPTIONS", "/api/v1/users/3")).toMatchObject({ status: 200, allow: "DELETE" });
    expect((await ask(app, "OPTIONS", "/nothing")).status).toBe(404);
  });

  it("with methodNotAllowed: false all are 404", async () => {
    const app = build().use(notFound({ methodNotAllowed: false }));
    expect((await ask(app, "DELETE", "/items")).status).toBe(404);
    expect((await ask(app, "OPTIONS", "/items")).status).toBe(404);
  });

  it("behind a mount, and in a mounted app, it judges the routes there", async () => {
    const app = express();
    const api = express.Router().get("/x", (_req, res) => void res.send("x"));
    app.use("/api", api, notFound());
    const sub = express();
    sub.get("/y", (_req, res) => void res.send("y"));
    sub.use(
      "/z",
      express.Router().post("/w", (_req, res) => void res.send("w")),
      notFound(),
    );
    sub.use(notFound());
    app.use("/sub/:id", sub);
    app.get("/x", (_req, res) => void res.send("outer"));
    expect(await ask(app, "POST", "/api/x")).toMatchObject({ status: 405, allow: "GET, HEAD, OPTIONS" });
    expect(await ask(app, "POST", "/api/y")).toMatchObject({ status: 404 });
    expect(await ask(app, "POST", "/sub/1/y")).toMatchObject({ status: 405, allow: "GET, HEAD, OPTIONS" });
    expect(await ask(app, "GET", "/sub/1/z/w")).toMatchObject({ status: 405, allow: "POST, OPTIONS" });
    expect(await ask(app, "POST", "/sub/1/x")).toMatchObject({ status: 404 });
  });
});

it("problems of the options are named", () => {
  expect(() => notFound({ methodNotAllowed: 1 as never })).toThrow(/methodNotAllowed/);
  expect(() => notFound({ method: true } as never)).toThrow(
    /Did you mean "methodNotAllowed"|methodNotAllowed/,
  );
});
