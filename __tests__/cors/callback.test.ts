import type { ErrorRequestHandler, Request, RequestHandler } from "express";
import request from "supertest";
import { type CorsOptions, cors } from "../../src/cors/index.js";
import { expressVersions } from "../support/express.js";
import { A, answerErrors, appOf, granted, PREFLIGHT } from "./support.js";

describe("a function for each request", () => {
  type Done = (error: Error | null, allowed?: boolean | string) => void;
  const LIST = [A];

  let warned: jest.SpyInstance;
  beforeEach(() => {
    warned = jest.spyOn(process, "emitWarning").mockImplementation(() => {});
  });
  afterEach(() => warned.mockRestore());
  const codes = () => warned.mock.calls.map(([, options]) => (options as { code: string }).code);

  /** Runs as in a new process, which has not warned yet. */
  function freshly(): (options?: CorsOptions) => RequestHandler {
    let made!: typeof import("../../src/cors/index.js");
    jest.isolateModules(() => {
      made = jest.requireActual("../../src/cors/index.js");
    });
    return made.cors as (options?: CorsOptions) => RequestHandler;
  }

  /** Functions as in the README of the cors package and in apps. */
  const callbacks: [string, unknown][] = [
    ["(o, done) => …", (o: string, done: Done) => done(null, LIST.includes(o))],
    [
      "(origin, ok) => … with an error",
      (origin: string, ok: Done) => {
        if (LIST.includes(origin)) ok(null, true);
        else ok(new Error("no"));
      },
    ],
    [
      "function",
      (origin: string, answer: Done) => {
        answer(null, LIST.includes(origin));
      },
    ],
    [
      "a method",
      {
        origin(o: string, reply: Done) {
          reply(null, LIST.includes(o));
        },
      }.origin,
    ],
    [
      "an async function that calls it",
      async (o: string, reply: Done) => {
        await null;
        reply(null, o === A);
      },
    ],
    [
      "a call later",
      (o: string, reply: Done) => {
        setImmediate(() => reply(null, o === A));
      },
    ],
    [
      "call",
      (o: string, reply: Done) => {
        reply.call(null, null, o === A);
      },
    ],
    [
      "an optional call",
      (o: string, reply?: Done) => {
        reply?.(null, o === A);
      },
    ],
    [
      "a name with a dollar",
      (o: string, $: Done) => {
        $(null, o === A);
      },
    ],
    [
      "next",
      (_o: string, next: Done) => {
        LIST.map(String);
        return void next;
      },
    ],
    [
      "done handed on",
      (o: string, done: unknown) => {
        void [o, done];
      },
    ],
    [
      "callback handed on",
      (o: string, _callback: unknown) => {
        void o;
      },
    ],
    ["three parameters", (_o: string, _x: unknown, _y: unknown) => true],
  ];

  it.each(callbacks)("a function written for a callback is refused at the start: %s", (_name, origin) => {
    expect(() => cors({ origin: origin as never })).toThrow(/must not take a callback: return true or false/);
  });

  it.each<[string, unknown]>([
    [
      "the request read",
      (origin: string, req: { headers: object }) => origin === A && req.headers !== undefined,
    ],
    ["the request handed on", (origin: string, req: unknown) => [origin, req].length === 2],
    [
      "a method of the request called",
      (origin: string, req: { get(name: string): string }) => req.get("host") !== origin,
    ],
    [
      "a property of that name called",
      (origin: string, req: { req(): boolean }) => origin === A || req.req(),
    ],
    [
      "a name that begins alike",
      (origin: string, re: unknown) => ((rest: unknown) => rest === re)(re) && origin === A,
    ],
    [
      "the call in a comment",
      (origin: string, req: unknown) => /* not req(x) */ origin === A && req !== null,
    ], // nor req(y)
    ["the call in a string", (origin: string, req: unknown) => origin !== "req(x)" && req !== 'req("y")'],
    ["one parameter", (done: string) => done === A],
  ])("a function for our option is accepted: %s", (_name, origin) => {
    expect(() => cors({ origin: origin as never })).not.toThrow();
  });

  describe.each(expressVersions)("on %s", (_version, express) => {
    const app = (handler: RequestHandler) => {
      const made = express();
      made.use(handler);
      made.use((_req, res) => void res.send("reached"));
      made.use(answerErrors);
      return made;
    };
    const store = {
      list: LIST,
      check(origin: string, reply: Done) {
        setImmediate(() =>
          typeof reply === "function" ? reply(null, this.list.includes(origin)) : undefined,
        );
      },
      checkNow(origin: string, reply: Done) {
        reply(null, this.list.includes(origin));
      },
      async checkLater(origin: string, reply: Done) {
        await null;
        reply(null, this.list.includes(origin));
      },
      async checkSoon(_origin: string, _reply: Done) {},
    };

    it.each<[string, unknown]>([
      ["returns nothing", store.check.bind(store)],
      ["resolves to nothing", store.checkSoon.bind(store)],
    ])("a bound one, whose source is hidden, allows no origin and causes one warning: it %s", async (_name, origin) => {
      const made = app(freshly()({ origin: origin as never }));
      for (let i = 0; i < 3; i++) {
        const { headers } = await request(made).get("/").set("Origin", A).expect(200, "reached");
        expect([granted(headers), headers.vary]).toEqual([{}, "Origin"]);
        const refused = await request(made).options("/").set(PREFLIGHT).expect(403);
        expect(granted(refused.headers)).toEqual({});
      }
      expect(codes()).toEqual(["PORTICO_CORS_CALLBACK"]);
      expect(warned.mock.calls[0]![0]).toMatch(/\(origin, req\) => boolean/);
    });

    it.each<[string, unknown]>([
      ["at once", store.checkNow.bind(store)],
      ["in a promise", store.checkLater.bind(store)],
    ])("a bound one that calls it %s is an error of its request and causes one warning", async (_name, origin) => {
      const made = app(freshly()({ origin: origin as never }));
      for (let i = 0; i < 2; i++) {
        const { headers } = await request(made).get("/").set("Origin", A).expect(500, "handled");
        expect(granted(headers)).toEqual({});
      }
      expect(codes()).toEqual(["PORTICO_CORS_CALLBACK"]);
    });

    it.each<[string, unknown]>([
      ["false", () => false],
      ["undefined, with one parameter", (o: string) => (o === "x" ? true : undefined)],
      ["a promise of false", async () => false],
      [
        "an error",
        () => {
          throw new Error("db");
        },
      ],
    ])("there is no warning for a function that returns %s", async (_name, origin) => {
      await request(app(freshly()({ origin: origin as never })))
        .get("/")
        .set("Origin", A);
      expect(codes()).toEqual([]);
    });

    describe('a function may return "*"', () => {
      it.each<[string, CorsOptions["origin"]]>([
        ["itself", (_o, req) => (req.path === "/open" ? "*" : false)],
        ["in a promise", async (_o, req) => (req.path === "/open" ? "*" : false)],
      ])("%s: it is sent, still with Vary: Origin", async (_name, origin) => {
        const made = app(freshly()({ origin, exposedHeaders: ["ETag"] }));
        const open = await request(made).get("/open").set("Origin", A).expect(200);
        expect(granted(open.headers)).toEqual({
          "access-control-allow-origin": "*",
          "access-control-expose-headers": "ETag",
        });
        expect(open.headers.vary).toBe("Origin");
        const preflight = await request(made).options("/open").set(PREFLIGHT).expect(204);
        expect(preflight.headers["access-control-allow-origin"]).toBe("*");
        const closed = await request(made).get("/").set("Origin", A).expect(200);
        expect(granted(closed.headers)).toEqual({});
        expect(codes()).toEqual([]);
      });

      it("with credentials the request is refused, with one warning", async () => {
        const origin: CorsOptions["origin"] = (_o, req) => (req.path === "/open" ? "*" : true);
        const made = app(freshly()({ origin, credentials: true }));
        for (let i = 0; i < 2; i++) {
          const open = await request(made).get("/open").set("Origin", A).expect(200, "reached");
          expect([granted(open.headers), open.headers.vary]).toEqual([{}, "Origin"]);
          await request(made).options("/open").set(PREFLIGHT).expect(403);
        }
        expect(codes()).toEqual(["PORTICO_CORS_STAR_WITH_CREDENTIALS"]);
        const own = await request(made).get("/").set("Origin", A);
        expect(own.headers["access-control-allow-credentials"]).toBe("true");
      });

      it.each<[string, unknown]>([
        ["an array with it", ["*"]],
        ["a promise of another string", Promise.resolve("**")],
        ["an origin", A],
      ])("but not %s", async (_name, answer) => {
        const made = app(freshly()({ origin: () => answer as boolean }));
        const { headers } = await request(made).get("/").set("Origin", A);
        expect(granted(headers)).toEqual({});
      });
    });
  });
});

describe("a function for the origin", () => {
  const fail = () => {
    throw new Error("db");
  };
  // biome-ignore lint/suspicious/noThenProperty: it stands for a promise that is none
  const thenable = (then: PropertyDescriptor) => Object.defineProperty({}, "then", then);

  describe.each(expressVersions)("on %s", (_version, express) => {
    const app = appOf(express);

    describe("an origin function", () => {
      it.each<[string, unknown, boolean]>([
        ["true", true, true],
        ["a promise of true", Promise.resolve(true), true],
        ["false", false, false],
        ["undefined", undefined, false],
        ["1", 1, false],
        ["a promise of 'yes'", Promise.resolve("yes"), false],
        ["an origin", A, false],
      ])("that returns %s", async (_name, returned, allowed) => {
        const res = await request(app({ origin: () => returned as boolean }))
          .get("/")
          .set("Origin", A)
          .expect(200, "GET reached");
        expect(granted(res.headers)).toEqual(allowed ? { "access-control-allow-origin": A } : {});
        expect(res.headers.vary).toBe("Origin");
      });

      it("is called with the origin and the request, only if there is one origin", async () => {
        const origin = jest.fn((_origin: string, req: Request) => req.path === "/yes");
        const made = app({ origin });
        await request(made).get("/yes");
        await request(made).get("/yes").set("Origin", "null");
        await request(made).get("/yes").set("Origin", `${A}, ${A}`);
        for (const text of [
          "",
          "a.example",
          `${A}/`,
          `${A}:`,
          "https://A.example",
          `${A} ${A}`,
          `${A}?`,
          "*",
        ]) {
          const res = await request(made).get("/yes").set("Origin", text);
          expect([granted(res.headers), res.headers.vary]).toEqual([{}, "Origin"]);
        }
        await request(made)
          .get("/yes")
          .set("Origin", `https://${"a.".repeat(200)}example`);
        await request(made).get("/yes").set("Origin", "https://evil.example/.a.example");
        expect(origin).not.toHaveBeenCalled();
        const yes = await request(made).get("/yes").set("Origin", A);
        expect(yes.headers["access-control-allow-origin"]).toBe(A);
        expect(origin).toHaveBeenCalledTimes(1);
      });

      it.each([
        [
          "throws",
          () => {
            throw new Error("db");
          },
        ],
        [
          "throws undefined",
          () => {
            throw undefined;
          },
        ],
        ["rejects", () => Promise.reject(new Error("db"))],
        ["rejects with nothing", () => Promise.reject(undefined)],
        ["rejects with 'route'", () => Promise.reject("route")],
        [
          "throws 'router'",
          () => {
            throw "router";
          },
        ],
        ["returns a then that throws", () => thenable({ value: fail })],
        ["returns a getter of then that throws", () => thenable({ get: fail })],
      ])("that %s reaches the error handler", async (_name, origin) => {
        const made = app({ origin: origin as unknown as () => boolean });
        made.use(answerErrors);
        const res = await request(made).get("/").set("Origin", A).expect(500, "handled");
        expect(granted(res.headers)).toEqual({});
        await request(made).options("/").set(PREFLIGHT).expect(500);
      });

      it("that fails after the answer has begun reaches the error handler", async () => {
        let fail: ((error: Error) => void) | undefined;
        const made = express();
        made.use((_req, res, next) => {
          next();
          res.status(503).send("too late");
        });
        made.use(cors({ origin: () => new Promise<boolean>((_resolve, reject) => (fail = reject)) }));
        const seen = jest.fn();
        made.use(((error, _req, _res, _next) =>
          seen((error as Error).message)) satisfies ErrorRequestHandler);
        await request(made).get("/").set("Origin", A).expect(503, "too late");
        fail?.(new Error("db"));
        await new Promise((resolve) => setImmediate(resolve));
        expect(seen.mock.calls).toEqual([["db"]]);
      });

      it("that settles after the response has begun changes nothing", async () => {
        let allow: ((told: boolean) => void) | undefined;
        const below = jest.fn();
        const made = express();
        made.use((_req, res, next) => {
          next();
          res.status(503).send("too late");
        });
        made.use(cors({ origin: () => new Promise<boolean>((resolve) => (allow = resolve)) }), below);
        const res = await request(made).get("/").set("Origin", A).expect(503, "too late");
        expect([granted(res.headers), res.headers.vary]).toEqual([{}, "Origin"]);
        allow?.(true);
        await new Promise((resolve) => setImmediate(resolve));
        expect(below).not.toHaveBeenCalled();
      });
    });
  });
});
