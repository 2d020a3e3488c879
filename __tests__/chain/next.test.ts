import { AsyncLocalStorage } from "node:async_hooks";
import type { ErrorRequestHandler, RequestHandler } from "express";
import request from "supertest";
import { chain, when } from "../../src/chain/index.js";
import { requestContext } from "../../src/context/index.js";
import { expressVersions } from "../support/express.js";
import { type Complaint, catchComplaints, catcher } from "./support.js";

let complaints: Complaint[];
const { NODE_ENV } = process.env;
beforeEach(() => {
  complaints = catchComplaints();
});
afterEach(() => {
  process.env.NODE_ENV = NODE_ENV;
  jest.restoreAllMocks();
});

const pass: RequestHandler = (_req, _res, next) => next();
const answer: RequestHandler = (_req, res) => void res.send("answered");

describe.each(expressVersions)("on %s", (_version, express) => {
  function appOf(...handlers: RequestHandler[]) {
    const app = express();
    app.use(...handlers);
    app.use((_req, res) => void (res.headersSent || res.send("went on")));
    app.use(catcher("app"));
    return app;
  }

  describe("next()", () => {
    it.each([[undefined], [0], [null], [""], [false]])("with %p runs the next member", async (value) => {
      await request(appOf(chain((_req, _res, next) => next(value as never)).then(answer)))
        .get("/")
        .expect(200, "answered");
    });

    it("if it is not called, no other member runs", async () => {
      const never = jest.fn(pass);
      await request(appOf(chain(pass, answer, never).then(answer)))
        .get("/")
        .expect(200, "answered");
      expect(never).not.toHaveBeenCalled();
    });

    it("runs the next member synchronously, as Express does", async () => {
      const order: string[] = [];
      const first: RequestHandler = (_req, _res, next) => {
        order.push("down");
        next();
        order.push("behind");
      };
      const last: RequestHandler = (_req, res) => {
        order.push("last");
        res.end();
      };
      await request(appOf(chain(first, pass).then(last))).get("/");
      expect(order).toEqual(["down", "last", "behind"]);
    });

    it.each([
      "route",
      "router",
    ] as const)("('%s') leaves the chain, and Express handles it as usual", async (word) => {
      const never = jest.fn(pass);
      const leaving: RequestHandler = (_req, _res, next) => next(word as "route");
      const router = express.Router();
      router.get("/", chain(leaving, never).then(answer), (_req, res) => void res.send("same route"));
      router.get("/", (_req, res) => void res.send("same router"));
      const expected = word === "route" ? "same router" : "went on";
      await request(appOf(router)).get("/").expect(200, expected);
      expect(never).not.toHaveBeenCalled();
    });
  });

  describe("a second next()", () => {
    const twiceAtOnce: RequestHandler = function twice(_req, _res, next) {
      next();
      next();
      next();
    };
    const twiceLater: RequestHandler = function twice(_req, _res, next) {
      next();
      setImmediate(next);
      setImmediate(next);
    };

    it.each([
      ["at once", twiceAtOnce, "development"],
      ["at once, in production", twiceAtOnce, "production"],
      ["later", twiceLater, "development"],
    ])("%s is ignored and logged once", async (_name, twice, environment) => {
      process.env.NODE_ENV = environment;
      const rest = jest.fn(pass);
      const slowly: RequestHandler = (_req, res) => void setTimeout(() => res.send("answered"), 10);
      const app = appOf(chain(requestContext(), twice, rest).then(slowly));
      const { headers } = await request(app).get("/path?query").expect(200, "answered");
      expect(rest).toHaveBeenCalledTimes(1);
      expect(complaints).toEqual([
        {
          level: "warn",
          message: "chain: twice (index 1) called next() again; the call was ignored",
          fields: { method: "GET", path: "/path", requestId: headers["x-request-id"] },
        },
      ]);
    });

    it("is logged with its error", async () => {
      const late: RequestHandler = (_req, _res, next) => {
        next();
        next(new Error("late"));
      };
      const slowly: RequestHandler = (_req, res) => void setImmediate(() => res.send("answered"));
      await request(appOf(chain(catcher("chain"), late).then(slowly)))
        .get("/")
        .expect(200, "answered");
      expect(complaints.map(({ fields }) => fields.error.message)).toEqual(["late"]);
    });

    it("after next(error) does not run the next member", async () => {
      const never = jest.fn(pass);
      const both: RequestHandler = (_req, _res, next) => {
        next(new Error("no"));
        next();
      };
      await request(appOf(chain(both, never).then(answer)))
        .get("/")
        .expect(500, "app: no");
      expect(never).not.toHaveBeenCalled();
      expect(complaints).toHaveLength(1);
    });

    it("of the last handler, and of an error handler, is ignored too", async () => {
      const counted = jest.fn(pass);
      const app = appOf(chain(pass).then(twiceAtOnce), counted);
      await request(app).get("/").expect(200, "went on");
      expect(counted).toHaveBeenCalledTimes(1);
      const failing: RequestHandler = () => {
        throw new Error("no");
      };
      const onError: ErrorRequestHandler = (_err, _req, _res, next) => {
        next();
        next();
      };
      await request(appOf(chain(onError).then(failing), counted))
        .get("/")
        .expect(200, "went on");
      expect(counted).toHaveBeenCalledTimes(2);
      expect(complaints).toHaveLength(2);
    });
  });

  it("next() after the response has ended runs no more members, and is logged", async () => {
    const never = jest.fn(pass);
    const both: RequestHandler = function both(_req, res, next) {
      res.status(401).end("no");
      next();
    };
    await request(appOf(chain(both, never).then(answer), never))
      .get("/")
      .expect(401, "no");
    expect(never).not.toHaveBeenCalled();
    expect(complaints.map(({ level, message }) => [level, message])).toEqual([
      ["warn", "chain: both (index 0) called next() after the response had ended; nothing more was run"],
    ]);
  });

  it("next() while the response is being sent runs the next member", async () => {
    const begins: RequestHandler = (_req, res, next) => {
      res.write("begun, ");
      next();
    };
    const app = appOf(chain(begins).then((_req, res) => void res.end("ended")));
    await request(app).get("/").buffer(true).expect(200);
    expect(complaints).toEqual([]);
  });

  it.each([
    ["10,000 members", () => chain(...Array.from({ length: 10_000 }, () => pass)).then(answer), "answered"],
    [
      "100 chains of 100 members within a chain",
      () =>
        chain(
          ...Array.from({ length: 100 }, () => chain(...Array.from({ length: 99 }, () => pass)).then(pass)),
        ).then(answer),
      "answered",
    ],
    [
      "5,000 chains, each within the other",
      () => {
        let handler = pass;
        for (let i = 0; i < 5_000; i++) handler = chain(handler).then(pass);
        return chain(handler).then(answer);
      },
      "answered",
    ],
    [
      "10,000 whens",
      () => chain(...Array.from({ length: 10_000 }, (_, i) => when(() => i % 2 === 0, pass))).then(answer),
      "answered",
    ],
    [
      "10,000 error handlers that pass an error on",
      () =>
        chain(
          ...Array.from(
            { length: 10_000 },
            () => (error: unknown, _req: unknown, _res: unknown, next: (error: unknown) => void) =>
              next(error),
          ),
        ).then(() => {
          throw new Error("no");
        }),
      "app: no",
    ],
  ])("%s do not overflow the stack", async (_name, make, text) => {
    const { text: received } = await request(appOf(make())).get("/");
    expect(received).toBe(text);
    expect(complaints).toEqual([]);
  });

  it("the async context of a member is that of all members to its right, also of a thousand", async () => {
    const storage = new AsyncLocalStorage<string>();
    const many = Array.from({ length: 1_000 }, () => pass);
    const app = appOf(
      chain((_req, _res, next) => storage.run("scope", next), ...many).then(
        (_req, res) => void res.send(storage.getStore()),
      ),
    );
    await request(app).get("/").expect(200, "scope");
  });

  it("concurrent requests share no state", async () => {
    const waits: (() => void)[] = [];
    const wait: RequestHandler = (_req, _res, next) => {
      waits.push(next);
      if (waits.length === 3) for (const goOn of waits.reverse()) goOn();
    };
    const app = appOf(chain(catcher("chain"), wait).then((req, res) => void res.send(req.url)));
    const server = app.listen(0);
    const answers = await Promise.all(["/1", "/2", "/3"].map((path) => request(server).get(path)));
    await new Promise((resolve) => server.close(resolve));
    expect(answers.map(({ text }) => text)).toEqual(["/1", "/2", "/3"]);
  });
});
