import express from "express";
import request from "supertest";
import {
  apiKey,
  authenticate,
  cors,
  notFound,
  portico,
  type RequestContextOptions,
  recover,
  requestContext,
} from "../../../src/index.js";
import { expressVersions } from "../../support/express.js";

const keys = () => authenticate(apiKey({ keys: ["k"] }));

/** The check runs after the response, which the client may have earlier. */
const settled = () => new Promise((resolve) => setTimeout(resolve, 30));

let written: string[];
beforeEach(() => {
  written = [];
  jest.spyOn(process.stderr, "write").mockImplementation((text) => {
    // A timer of an earlier test file in this process may write too.
    if (!String(text).includes("serve() waits")) written.push(String(text));
    return true;
  });
});
afterEach(() => jest.restoreAllMocks());

function wrongApp(options?: RequestContextOptions) {
  const app = express();
  app.use(requestContext(options), keys(), cors());
  app.get("/", (_req, res) => void res.send("x"));
  app.use(recover());
  return app;
}

it("writes one line for each fault, once", async () => {
  const app = wrongApp();
  await request(app).get("/").expect(401);
  await request(app).get("/").expect(401);
  await settled();
  expect(written).toHaveLength(1);
  expect(JSON.parse(written[0]!)).toMatchObject({
    level: "warn",
    rule: "cors-after-auth",
    message:
      "cors is after authenticate: browsers' preflights never reach it; move it up, above authenticate",
  });
});

describe.each(expressVersions)("on %s", (version, from) => {
  // Each line is written once in a process: here it is another one for each version.
  const number = expressVersions.findIndex(([name]) => name === version) + 1;
  const path = `/version-${number}`;

  it("checks the whole app if its context is in a mounted app, without an inspector session", async () => {
    const sessions = jest.spyOn(process.getBuiltinModule("node:inspector"), "Session");
    const outer = from();
    const inner = from();
    inner.use(requestContext(), cors());
    inner.get("/", (_req, res) => void res.send("x"));
    for (let i = 1; i < number; i++) outer.use((_req, _res, next) => next());
    outer.use(`${path}/`, keys());
    outer.use(`${path}/`, inner);
    outer.use(recover());
    await request(outer).get(path).set("X-Api-Key", "k").expect(200);
    await settled();
    // Router 2.2 does not keep the path of the auth check.
    const expected =
      version === "Express 5 with router 2.2" ? `${number} authenticate` : `${number + 1}.2 cors`;
    expect(written.map((line) => JSON.parse(line).at)).toEqual([expected]);
    expect(sessions).not.toHaveBeenCalled();
  });

  it("says in one line what it did not see: other mounted apps, paths that Express does not keep", async () => {
    const app = from();
    const admin = from();
    const metrics = from();
    const router = from.Router();
    metrics.get("/", (_req, res) => void res.send("x"));
    app.use(requestContext());
    app.use(path, admin).use("/metrics", metrics).use("/users", router);
    app.use(recover());
    await request(app).get("/metrics").expect(200);
    await settled();
    const more = version === "Express 5 with router 2.2" ? 2 : 1;
    expect(written.map((line) => JSON.parse(line))).toEqual([
      expect.objectContaining({
        level: "info",
        rule: "not-seen",
        message: expect.stringMatching(
          new RegExp(`did not see what is in the app at /\\S+, and ${more} more: npx express-portico check`),
        ),
      }),
    ]);
  });

  it("reports no fault because of an unknown path", async () => {
    const app = from();
    const router = from.Router();
    router.put("/", (_req, res) => void res.send("x"));
    app.use(requestContext());
    app.get("/api/first", (_req, res) => void res.send("x"));
    app.use("/api", cors());
    app.use("/api", router);
    app.use("/api", recover());
    await request(app).get("/api/first").expect(200);
    await settled();
    expect(written.filter((line) => JSON.parse(line).level === "warn")).toEqual([]);
  });
});

it("writes nothing with check: false, in production, and if nothing is wrong", async () => {
  await request(wrongApp({ check: false }))
    .get("/")
    .expect(401);
  const env = process.env.NODE_ENV;
  process.env.NODE_ENV = "production";
  const inProduction = wrongApp();
  process.env.NODE_ENV = env;
  await request(inProduction).get("/").expect(401);

  const right = express();
  const { before, after } = portico({ cors: {}, log: false });
  right.use(before, keys());
  right.get("/", (_req, res) => void res.send("x"));
  right.use(after);
  await request(right).get("/").expect(401);
  await settled();
  expect(written).toEqual([]);
});

it("writes nothing about advice", async () => {
  const app = express();
  app.use(requestContext(), requestContext());
  app.get("/", (_req, res) => void res.send("x"));
  app.use(notFound());
  await request(app).get("/").expect(200);
  await settled();
  expect(written).toEqual([]);
});

it("works with a response that has only some members, as in unit tests", () => {
  const next = jest.fn();
  const app = express();
  requestContext()({ headers: {}, app, socket: {} } as never, { setHeader() {} } as never, next);
  expect(next).toHaveBeenCalledWith();
});
