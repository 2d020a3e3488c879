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

const keys = () => authenticate(apiKey({ keys: ["k"] }));

/** The check is made when the response is over, which its client may know first. */
const settled = () => new Promise((resolve) => setTimeout(resolve, 30));

let written: string[];
beforeEach(() => {
  written = [];
  jest.spyOn(process.stderr, "write").mockImplementation((text) => {
    // A timer of a file that this process has run before may write too.
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

it("checks the whole app when its context stands in a mounted one", async () => {
  const outer = express();
  const inner = express();
  inner.use(requestContext(), cors());
  inner.get("/", (_req, res) => void res.send("x"));
  outer.use((_req, _res, next) => next());
  outer.use("/closed", keys());
  outer.use("/closed", inner);
  outer.use("/open", inner);
  outer.use(recover());
  await request(outer).get("/open").expect(200);
  await settled();
  expect(written).toHaveLength(1);
});

it("is silent with check: false, in production, and where nothing is wrong", async () => {
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

it("is silent on advice", async () => {
  const app = express();
  app.use(requestContext(), requestContext());
  app.get("/", (_req, res) => void res.send("x"));
  app.use(notFound());
  await request(app).get("/").expect(200);
  await settled();
  expect(written).toEqual([]);
});

it("asks nothing of a response that is only a part of one, as unit tests make it", () => {
  const next = jest.fn();
  const app = express();
  requestContext()({ headers: {}, app, socket: {} } as never, { setHeader() {} } as never, next);
  expect(next).toHaveBeenCalledWith();
});
