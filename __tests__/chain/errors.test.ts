import type { ErrorRequestHandler, RequestHandler } from "express";
import request from "supertest";
import { chain } from "../../src/chain/index.js";
import { requestContext } from "../../src/context/index.js";
import { stateOf } from "../../src/lib/request/state.js";
import { recover } from "../../src/recover/index.js";
import { expressVersions } from "../support/express.js";
import { memoryLogger } from "../support/logger.js";
import { type Complaint, catchComplaints, catcher, rejectsTwice, thrower } from "./support.js";

let complaints: Complaint[];
beforeEach(() => {
  complaints = catchComplaints();
});
afterEach(() => {
  jest.restoreAllMocks();
  expect(complaints).toEqual(expected);
  expected = [];
});
/** The log lines that a test expects: none by default. */
let expected: unknown = [];

const pass: RequestHandler = (_req, _res, next) => next();
const answer: RequestHandler = (_req, res) => void res.send("answered");

const failures: [string, RequestHandler, string][] = [
  ["throws", thrower(new Error("no")), "no"],
  ["throws a string", thrower("plain"), "plain"],
  ["throws undefined", thrower(undefined), "a value that is not an Error was thrown: undefined"],
  ["throws 0", thrower(0), "a value that is not an Error was thrown: number 0"],
  ["throws 'route'", thrower("route"), "a value that is not an Error was thrown: string route"],
  ["rejects", async () => Promise.reject(new Error("no")), "no"],
  ["rejects later", () => new Promise((_, reject) => setImmediate(reject, new Error("late"))), "late"],
  ["rejects with undefined", () => Promise.reject(), "Rejected promise"],
  ["rejects with ''", () => Promise.reject(""), "Rejected promise"],
  [
    "rejects with 'router'",
    () => Promise.reject("router"),
    "a value that is not an Error was thrown: string router",
  ],
  ["calls next with an error", (_req, _res, next) => next(new Error("no")), "no"],
  [
    "calls next with an error, later",
    (_req, _res, next) => void setImmediate(() => next(new Error("no"))),
    "no",
  ],
  ["calls next with true", (_req, _res, next) => next(true), "true"],
  ["returns a thenable that rejects twice", rejectsTwice, "no"],
  [
    "calls next with an error, and throws it",
    (_req, _res, next) => {
      const error = new Error("no");
      next(error);
      throw error;
    },
    "no",
  ],
];

describe.each(expressVersions)("on %s", (_version, express) => {
  function appOf(...handlers: RequestHandler[]) {
    const calls: unknown[] = [];
    const app = express();
    app.use(...handlers);
    app.use((_req, res) => void res.send("went on"));
    app.use(((error, req, res, next) => {
      calls.push(error);
      catcher("app")(error, req, res, next);
    }) as ErrorRequestHandler);
    return { app, calls };
  }

  describe.each(failures)("a member that %s", (_name, failing, message) => {
    if (_name.includes("rejects twice")) {
      beforeEach(() => {
        expected = [expect.objectContaining({ level: "error" })];
      });
    }

    it("its error goes to the app's error handler once, and the rest of the chain is skipped", async () => {
      const rest = jest.fn(pass);
      const { app, calls } = appOf(chain(pass, failing, rest).then(answer));
      await request(app).get("/").expect(500, `app: ${message}`);
      expect(calls).toHaveLength(1);
      expect(rest).not.toHaveBeenCalled();
    });

    it("its error goes to the nearest error handler on the left once, and to no other", async () => {
      const near = jest.fn(catcher("near"));
      const onError: ErrorRequestHandler = (error, req, res, next) => near(error, req, res, next);
      const { app, calls } = appOf(
        chain(catcher("far"), pass, onError, pass, failing, catcher("behind")).then(answer),
      );
      await request(app).get("/").expect(500, `near: ${message}`);
      expect(near).toHaveBeenCalledTimes(1);
      expect(calls).toEqual([]);
    });

    it("its error is caught if it is the last handler too", async () => {
      const { app } = appOf(chain(catcher("chain"), pass).then(failing));
      await request(app).get("/").expect(500, `chain: ${message}`);
    });

    it("its error is answered by recover() as by recover.wrap()", async () => {
      const [inChain, wrapping] = [memoryLogger(), memoryLogger()];
      const options = { logger: inChain };
      const { app } = appOf(chain(recover(options), pass).then(failing));
      const { app: wrapped } = appOf(recover.wrap(failing, { logger: wrapping }));
      const [ours, theirs] = [await request(app).get("/x"), await request(wrapped).get("/x")];
      const relevant = ({ status, headers }: request.Response) => [
        status,
        headers.connection,
        headers["content-type"],
      ];
      expect(relevant(ours)).toEqual(relevant(theirs));
      expect(inChain.entries).toHaveLength(1); // wrap logs an error that comes twice two times
      // The text behind the colon is the error's own, which is another object.
      const [inside, around] = [inChain, wrapping].map(({ entries }) => entries[0]?.message.split(":", 2));
      expect(inside).toEqual(around);
    });
  });

  describe("an error handler", () => {
    const passes =
      (value?: unknown): ErrorRequestHandler =>
      (_err, _req, _res, next) =>
        next(value as never);

    it.each<[string, ErrorRequestHandler, string]>([
      ["passes another error on to the next one on the left", passes(new Error("other")), "left: other"],
      ["throws", thrower(new Error("worse")) as never, "left: worse"],
    ])("%s", async (_name, onError, text) => {
      const four: ErrorRequestHandler = (err, req, res, next) => onError(err, req, res, next);
      const { app } = appOf(chain(catcher("left"), four).then(thrower(new Error("first"))));
      await request(app).get("/").expect(500, text);
    });

    it("that rejects: the error goes to the next one on the left, and then out of the chain", async () => {
      const rejecting: ErrorRequestHandler = async (_err, _req, _res, _next) => {
        throw new Error("worse");
      };
      const { app, calls } = appOf(
        chain(passes(new Error("last")), rejecting).then(thrower(new Error("first"))),
      );
      await request(app).get("/").expect(500, "app: last");
      expect(calls).toHaveLength(1);
    });

    it.each([
      [undefined],
      [0],
      [null],
      [""],
    ])("calls next(%p): the request goes on after the chain", async (value) => {
      const never = jest.fn(pass);
      const { app, calls } = appOf(chain(pass, passes(value), never).then(thrower(new Error("no"))));
      await request(app).get("/").expect(200, "went on");
      expect(never).toHaveBeenCalledTimes(1);
      expect(calls).toEqual([]);
    });

    it("is skipped without an error", async () => {
      const { app } = appOf(chain(catcher("a"), pass, catcher("b")).then(answer));
      await request(app).get("/").expect(200, "answered");
    });

    it("does not get the errors of what comes after the chain", async () => {
      const { app } = appOf(chain(catcher("chain"), pass).then(pass), thrower(new Error("after")));
      await request(app).get("/").expect(500, "app: after");
    });
  });

  it("gets the errors of res.render and res.sendFile, which have no next of their own", async () => {
    const { app } = appOf(chain(catcher("chain")).then((_req, res) => res.render("nowhere.nothing")));
    await request(app)
      .get("/")
      .expect(500, /^chain: /);
    const { app: files } = appOf(chain(catcher("chain")).then((_req, res) => res.sendFile("/no/such/file")));
    await request(files)
      .get("/")
      .expect(500, /^chain: .*(ENOENT|Not Found)/);
  });

  it("restores the router's req.next when the request leaves the chain", async () => {
    const { app } = appOf(chain(catcher("chain")).then(pass), (_req, res) => res.sendFile("/no/such/file"));
    await request(app)
      .get("/")
      .expect(500, /^app: /);
  });

  it("passes an error after the response has ended on to recover, which logs it", async () => {
    const logger = memoryLogger();
    const app = express();
    app.use(
      chain(pass).then((_req, res) => {
        res.send("answered");
        throw new Error("afterwards");
      }),
    );
    app.use(recover({ logger }));
    await request(app).get("/").expect(200, "answered");
    expect(logger.entries.map(({ message }) => message)).toEqual([
      "request failed after its response had ended: GET /: afterwards",
    ]);
  });

  describe("an error of a member that has called next()", () => {
    const late: RequestHandler = (_req, _res, next) => {
      next();
      throw new Error("late");
    };

    it("goes to the error handlers if there is no answer yet", async () => {
      const waiting: RequestHandler = () => {};
      const { app } = appOf(chain(catcher("chain"), late).then(waiting));
      await request(app).get("/").expect(500, "chain: late");
      const { app: outer } = appOf(chain(late).then(waiting));
      await request(outer).get("/").expect(500, "app: late");
    });

    it("is logged if the response has ended", async () => {
      const { app, calls } = appOf(chain(catcher("chain"), late).then(answer));
      await request(app).get("/").expect(200, "answered");
      expect(calls).toEqual([]);
      expected = [
        {
          level: "error",
          message: "chain: late (index 1) failed after it had passed the request on",
          fields: {
            method: "GET",
            path: "/",
            error: { type: "Error", message: "late", stack: expect.stringContaining("late") },
          },
        },
      ];
    });

    it("stops the members that still run, and is not answered twice", async () => {
      const never = jest.fn(answer);
      let goOn = () => {};
      const waiting: RequestHandler = (_req, _res, next) => {
        goOn = next;
      };
      const { app } = appOf(chain(catcher("chain"), late, waiting).then(never));
      await request(app).get("/").expect(500, "chain: late");
      goOn();
      expect(never).not.toHaveBeenCalled();
      expected = [
        expect.objectContaining({ message: expect.stringContaining("after the response had ended") }),
      ];
    });

    it("if undefined was thrown, becomes an Error", async () => {
      const { app } = appOf(
        chain(catcher("chain"), (_req, _res, next) => {
          next();
          throw undefined;
        }).then(() => {}),
      );
      await request(app).get("/").expect(500, "chain: a value that is not an Error was thrown: undefined");
    });

    it("is handled while other members go on or fail, which changes nothing", async () => {
      const never = jest.fn(answer);
      const nexts: ((error?: unknown) => void)[] = [];
      const waiting: RequestHandler = (_req, _res, next) => void nexts.push(next);
      const goesOn: RequestHandler = (req, res, next) => {
        waiting(req, res, next);
        next();
      };
      const handled = jest.fn();
      const slowly: ErrorRequestHandler = (error, _req, res, _next) => {
        handled();
        nexts[0]?.(new Error("too"));
        setImmediate(() => res.status(500).send(`slowly: ${error.message}`));
      };
      const { app, calls } = appOf(chain(slowly, late, waiting).then(never));
      await request(app).get("/").expect(500, "slowly: late");
      const { app: second } = appOf(chain(slowly, late, goesOn, waiting).then(never));
      nexts.length = 0;
      await request(second).get("/").expect(500, "slowly: late");
      expect(handled).toHaveBeenCalledTimes(2);
      expect([never.mock.calls, calls]).toEqual([[], []]);
      expected = [
        expect.objectContaining({ message: "chain: waiting (index 2) failed after the request had failed" }),
        expect.objectContaining({ message: expect.stringContaining("goesOn (index 2) called next() again") }),
      ];
    });

    it("ends the run: no member goes on while the error is handled", async () => {
      const never = jest.fn(answer);
      let goOn = () => {};
      const waiting: RequestHandler = (_req, _res, next) => {
        goOn = next;
      };
      const slowly: ErrorRequestHandler = (error, _req, res, _next) => {
        goOn();
        setImmediate(() => res.status(500).send(`slowly: ${error.message}`));
      };
      const { app } = appOf(chain(slowly, late, waiting).then(never));
      await request(app).get("/").expect(500, "slowly: late");
      expect(never).not.toHaveBeenCalled();
    });

    it("that has left the chain, with an error handler that calls next(): what comes next does not run twice", async () => {
      const behind = jest.fn<void, Parameters<RequestHandler>>(
        (_req, res) => void setImmediate(() => res.send("behind")),
      );
      const goOn: ErrorRequestHandler = (_err, _req, _res, next) => next();
      const { app } = appOf(chain(goOn, late).then(pass), (req, res, next) => behind(req, res, next));
      await request(app).get("/").expect(200, "behind");
      expect(behind).toHaveBeenCalledTimes(1);
    });

    it("that is an error handler: the error that it passed on is answered, the other one is logged", async () => {
      const calls: string[] = [];
      const app = express();
      const both: ErrorRequestHandler = (error, _req, _res, next) => {
        next(error);
        throw new Error("and another");
      };
      app.use(chain(both).then(thrower(new Error("first"))));
      app.use(((error, _req, res, _next) => {
        calls.push(error.message);
        setImmediate(() => res.status(500).send("slowly"));
      }) as ErrorRequestHandler);
      await request(app).get("/").expect(500, "slowly");
      expect(calls).toEqual(["first"]);
      expected = [
        expect.objectContaining({ message: expect.stringContaining("both (index 0) failed after") }),
      ];
    });
  });

  it("an uncaught error that comes through the next of requestContext is handled", async () => {
    const outOfBand: RequestHandler = (req) =>
      void setImmediate(() => stateOf(req).next?.(new Error("timer")));
    const context = requestContext();
    const first = appOf(chain(catcher("chain"), context, pass).then(outOfBand));
    await request(first.app).get("/").expect(500, "chain: timer");
    const nested = appOf(chain(catcher("chain"), chain(context).then(pass)).then(outOfBand));
    await request(nested.app).get("/").expect(500, "chain: timer");
    const before = appOf(chain(context).then(pass), outOfBand);
    await request(before.app).get("/").expect(500, "app: timer");
  });
});
