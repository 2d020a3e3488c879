import type express5 from "express";
import { recover } from "../../src/recover/index.js";
import { endPrograms, send, start } from "./fixtures/uncaught-program.js";
import { begin, closeAll } from "./support.js";

const express = require("express4") as typeof express5;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

afterEach(closeAll);
afterAll(endPrograms);

const fail = async () => {
  await null;
  throw new Error("boom");
};

/** An app with a failing handler in each place where a handler can be. */
function failing(handleErrors: (app: express5.Express) => void) {
  const app = express();
  app.set("env", "test");
  app.get("/handler", fail);
  app.get("/second", (_req, _res, next) => next(), fail);
  app.use("/middleware", fail);
  app.use("/nothing", () => Promise.reject());
  const router = express.Router();
  router.param("id", fail);
  router.get("/item/:id", (_req, res) => void res.send("item"));
  app.use("/router", router);
  const inner = express();
  inner.get("/deep", fail);
  app.use("/app", inner);
  app.use("/handled", (_req, _res, next) => next(new Error("first")));
  app.use("/handled", (async (_error, _req, _res, _next) => fail()) as express5.ErrorRequestHandler);
  app.get("/fine", async (_req, res) => void res.send("fine"));
  handleErrors(app);
  return app;
}

const PATHS = ["/handler", "/second", "/middleware", "/nothing", "/router/item/1", "/app/deep", "/handled"];
const own: express5.ErrorRequestHandler = (error, _req, res, _next) =>
  void res.status(500).send(`own: ${error.message}`);

describe("on Express 4 an async handler that rejects is an error of its request, and the server goes on", () => {
  it.each(PATHS)("%s, answered by the app's own error handler", async (path) => {
    const scene = await begin(
      "http",
      { onUncaught: "drain" },
      failing((app) => app.use(own)),
    );
    const client = await scene.wire();
    await client.get(path).heard("own: ");
    await client.get("/fine").heard("fine");
    const message = path === "/nothing" ? /^own: / : /^own: boom$/;
    expect(client.answers()).toMatchObject([
      { status: 500, body: expect.stringMatching(message) },
      { status: 200, body: "fine" },
    ]);
    expect(scene.log).toEqual([]);
  });

  it("answered by recover, also where the app got its first routes after serve", async () => {
    const app = express();
    const scene = await begin("http", { onUncaught: "drain" }, app);
    app.get("/late", fail);
    app.use(recover({ logger: quiet }));
    const client = await scene.wire();
    client.get("/late");
    expect(await client.ended()).toBe("fin");
    expect(client.answers()).toMatchObject([
      { status: 500, headers: { "content-type": "application/problem+json; charset=utf-8" } },
    ]);
    expect(scene.log).toEqual([]);
  });

  it("a handler that rejects after it has called next() does not answer twice", async () => {
    const app = express();
    app.set("env", "test");
    app.get("/", async (_req, res) => {
      res.send("whole");
      throw new Error("boom");
    });
    const scene = await begin("http", {}, app);
    const client = await scene.wire();
    client.get("/");
    await client.heard("whole");
    expect(client.answers()).toMatchObject([{ status: 200, body: "whole" }]);
  });

  it("also with the program's own listener of unhandled rejections, which is called for other promises only", async () => {
    const program = start("express4-app.mjs", ["true"]);
    const [served, plain] = await program.saying("urls");
    const abandoned = send(`${plain}/rejects`); // an app that is not served behaves as in Express 4
    await program.saying("heard");
    expect(await send(`${served}/rejects`)).toMatchObject({ status: 500, body: "of the handler" });
    expect(await send(`${served}/floats`)).toMatchObject({ status: 200, body: "whole" });
    expect(await send(`${served}/`)).toMatchObject({ status: 200, body: "fine" });
    program.child.kill("SIGTERM");
    expect(await program.exit).toBe(0);
    await abandoned;
    expect(program.all("heard")).toEqual(["of the handler", "of nobody's promise"]);
    expect(program.all("record").filter(({ level }) => level === "error")).toEqual([]);
  });

  it("the rejection of a promise that is not awaited is an uncaught error as before: answered on its request, and the process ends", async () => {
    const program = start("express4-app.mjs", ["false"]);
    const [served] = await program.saying("urls");
    expect(await send(`${served}/rejects`)).toMatchObject({ status: 500, body: "of the handler" });
    expect(program.all("record")).toEqual([]);
    expect(await send(`${served}/floats`)).toMatchObject({ status: 500, body: "of nobody's promise" });
    expect(await program.exit).toBe(1);
    expect(program.all("record")[0]).toMatchObject({
      level: "error",
      message: expect.stringMatching(/the process finishes what is under way, and ends$/),
      path: "/floats",
    });
  });
});
