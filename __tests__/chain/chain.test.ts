import { AsyncLocalStorage } from "node:async_hooks";
import http from "node:http";
import type { ErrorRequestHandler, RequestHandler } from "express";
import request from "supertest";
import { type Chain, chain, when } from "../../src/chain/index.js";
import { requestContext } from "../../src/context/index.js";
import { ConfigError } from "../../src/lib/config/config-error.js";
import { expressVersions } from "../support/express.js";
import { type Complaint, catchComplaints, catcher } from "./support.js";

describe("a chain", () => {
  const MEMBERS = Symbol.for("express-portico/members");

  /** Adds its name to a list on the request. */
  const mark = (name: string): RequestHandler =>
    Object.defineProperty(
      ((req, _res, next) => {
        ((req as { trail?: string[] }).trail ??= []).push(name);
        next();
      }) as RequestHandler,
      "name",
      { value: name },
    );
  const [a, b, c, d] = ["a", "b", "c", "d"].map(mark) as [
    RequestHandler,
    RequestHandler,
    RequestHandler,
    RequestHandler,
  ];
  const show: RequestHandler = function show(req, res) {
    res.end((req as { trail?: string[] }).trail?.join("") ?? "nothing");
  };
  const namesIn = (value: unknown) =>
    (value as Record<symbol, readonly { name: string }[]>)[MEMBERS]!.map(({ name }) => name).join("");

  describe("as a value", () => {
    it("append makes a new chain and does not change the old one", () => {
      const old = chain(a, b);
      const longer = old.append(c);
      expect([namesIn(old), namesIn(longer)]).toEqual(["ab", "abc"]);
    });

    it("a change of the list it was made of does not change it", () => {
      const list = [a, b];
      const made = chain(...list);
      list.push(c);
      expect(namesIn(made)).toBe("ab");
    });

    it.each([
      ["two", () => chain(a, b).extend(chain(c, d)), "abcd"],
      ["an empty one behind", () => chain(a, b).extend(chain()), "ab"],
      ["an empty one before", () => chain().extend(chain(a)), "a"],
      ["one by itself", () => chain(a).extend(chain(a)), "aa"],
    ])("extend joins %s", (_name, make, names) => {
      expect(namesIn(make())).toBe(names);
    });

    it("cannot be changed from outside", () => {
      const made = chain(a);
      expect(Object.isFrozen(made)).toBe(true);
      expect(() => (made as unknown as Record<symbol, unknown[]>)[MEMBERS]!.push(b)).toThrow(TypeError);
    });

    it("await throws and does not hang", async () => {
      await expect(async () => chain(a)).rejects.toThrow("a chain is not a promise");
    });
  });

  describe("then", () => {
    it("of an empty chain returns the handler itself", () => {
      expect(chain().then(show)).toBe(show);
    });

    it("returns a handler with three parameters and the members' names in its name", () => {
      const handler = chain(a, (_req, _res, next) => next(), b).then(show);
      expect([handler.name, handler.length]).toEqual(["chain(a, <anonymous>, b, show)", 3]);
    });

    it("the name of a long chain is shortened", () => {
      const handler = chain(...Array.from({ length: 100 }, () => a)).then(show);
      expect(handler.name).toBe("chain(a, a, a, a, a, a, a, a, a, 91 more, show)");
    });

    it("the name of a chain of chains is shortened: 100 of them, each in the other twice, have a short one", () => {
      let handler = chain(a).then(show);
      for (let depth = 0; depth < 100; depth++) handler = chain(handler).then(handler);
      expect(handler.name).toMatch(/^chain\(chain\(chain\(/);
      expect(handler.name.length).toBeLessThan(500);
    });

    it("the result has its members, with the handler, for tools that print an app's order", () => {
      const handler = chain(a, b).then(show) as unknown as Record<symbol, unknown[]>;
      expect(handler[MEMBERS]).toEqual([a, b, show]);
      expect(Object.keys(handler)).toEqual([]);
      expect(() => handler[MEMBERS]!.push(c)).toThrow(TypeError);
    });

    it("calls the members without `this`, as Express does", async () => {
      const seen: unknown[] = [];
      const handler = chain(function (this: unknown, _req, _res, next) {
        seen.push(this);
        next();
      }).then(function (this: unknown, _req, res) {
        seen.push(this);
        res.end();
      });
      await request(http.createServer((req, res) => handler(req as never, res as never, () => {}))).get("/");
      expect(seen).toEqual([undefined, undefined]);
    });
  });

  describe("refuses", () => {
    const four = (_err: unknown, _req: unknown, _res: unknown, _next: unknown) => {};
    const five = (_1: unknown, _2: unknown, _3: unknown, _4: unknown, _5: unknown) => {};
    const made = chain(a) as unknown as Record<"append" | "extend" | "then", (...args: unknown[]) => unknown>;

    it.each<[string, () => unknown, RegExp]>([
      [
        "undefined",
        () => chain(a, undefined as never),
        /chain\(\):\n {2}- handlers\[1\]: received undefined/,
      ],
      ["null", () => chain(null as never), /handlers\[0\]: received null; must be a handler/],
      ["a string", () => chain("cors" as never), /handlers\[0\]: received "cors"/],
      ["a list", () => chain([a, b] as never), /handlers\[0\]: .* spread it \(\.\.\.handlers\)/],
      ["a chain", () => chain(a, chain(b) as never), /handlers\[1\]: .* write \.extend\(chain\)/],
      ["a promise", () => chain(Promise.resolve(a) as never), /handlers\[0\]/],
      ["five parameters", () => chain(five as never), /handlers\[0\]: .* more than four parameters/],
      ["undefined in append", () => made.append(a, b, undefined), /chain\.append\(\):\n {2}- handlers\[2\]/],
      ["a handler in extend", () => made.extend(a), /chain: received .*; must be a chain; .*\.append/],
      ["nothing in extend", () => made.extend(undefined), /chain: received undefined/],
      ["nothing in then", () => made.then(undefined), /chain\.then\(\):\n {2}- handler: received undefined/],
      ["a chain in then", () => made.then(chain(a)), /handler: .* write \.then\(handler\)|\.extend/],
      ["an error handler in then", () => made.then(four), /handler: .* must not be an error handler/],
      ["an error handler in an empty chain's then", () => chain().then(four as never), /error handler/],
    ])("%s", (_name, act, message) => {
      expect(act).toThrow(ConfigError);
      expect(act).toThrow(TypeError);
      expect(act).toThrow(message);
    });

    it("all problems at once", () => {
      expect.assertions(1);
      try {
        chain(undefined as never, a, "x" as never);
      } catch (error) {
        expect((error as ConfigError).problems.map(({ option }) => option)).toEqual([
          "handlers[0]",
          "handlers[2]",
        ]);
      }
    });
  });

  describe.each(expressVersions)("on %s", (_version, express) => {
    const handler = chain(a, b).then(show);

    it.each<[string, (app: ReturnType<typeof express>) => unknown]>([
      ["app.use", (app) => app.use(handler)],
      ["app.use with a path", (app) => app.use("/x", handler)],
      ["app.get", (app) => app.get("/x", handler)],
      ["router.route().get", (app) => app.use(express.Router().use(express.Router().get("/x", handler)))],
      ["app.route().all", (app) => app.route("/x").all(handler)],
      ["lists within lists", (app) => app.use([[handler]] as never)],
      ["a chain within a chain", (app) => app.use(chain(chain(a).then(b)).then(show))],
    ])("the result works in %s", async (_name, mount) => {
      const app = express();
      mount(app);
      await request(app).get("/x").expect(200, "ab");
    });

    it("one chain serves two handlers", async () => {
      const base: Chain = chain(a);
      const app = express();
      app.use("/one", base.then(show));
      app.use("/two", base.append(b).then(show));
      await request(app).get("/one").expect("a");
      await request(app).get("/two").expect("ab");
      await request(app).get("/one").expect("a");
    });

    it("calls the outer next() when all members have called theirs", async () => {
      const app = express();
      app.use(chain(a).then(b));
      app.use(c, show);
      await request(app).get("/").expect(200, "abc");
    });

    it("works with a router as its last handler", async () => {
      const router = express.Router();
      router.get("/in/:id", (req, res) => void res.send(`${req.params.id} ${req.baseUrl}`));
      const app = express();
      app.use("/base", chain(a).then(router));
      app.use(show);
      await request(app).get("/base/in/7").expect(200, "7 /base");
      await request(app).get("/base/none").expect(200, "a");
    });
  });

  describe("in a server without Express", () => {
    const serve = (handler: RequestHandler, done?: () => void) =>
      request(http.createServer((req, res) => handler(req as never, res as never, done as never)));

    it("runs, and calls the next that it was given", async () => {
      await serve(chain(a, b).then(show)).get("/").expect(200, "ab");
      const done = jest.fn();
      const server = http.createServer((req, res) => {
        const handler = chain(a).then(b);
        handler(req as never, res as never, (...args: unknown[]) => {
          done(...args);
          res.end("done");
        });
      });
      await request(server).get("/").expect(200, "done");
      expect(done.mock.calls).toEqual([[]]);
    });

    it("without a next, it answers 404 or 500 by itself", async () => {
      jest.spyOn(process.stderr, "write").mockReturnValue(true);
      await serve(chain(a).then(b))
        .get("/x")
        .expect(404, /There is nothing at \/x for GET/);
      const failing = chain(a).then(() => {
        throw new Error("no");
      });
      const { text } = await serve(failing).get("/x").expect(500);
      expect(text).not.toContain("no such");
      expect(process.stderr.write).toHaveBeenCalledTimes(1);
      jest.restoreAllMocks();
    });

    it("a next that throws is caught", async () => {
      const told = jest.spyOn(process.stderr, "write").mockReturnValue(true);
      const broken = () => {
        throw new Error("broken");
      };
      await serve(chain(a).then(b), broken).get("/").expect(500);
      expect(told).toHaveBeenCalledTimes(1);
      jest.restoreAllMocks();
    });
  });
});

describe("next", () => {
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
});
