import type { ErrorRequestHandler, Request } from "express";
import request from "supertest";
import { cors } from "../../src/cors/index.js";
import { expressVersions } from "../support/express.js";
import { A, answerErrors, appOf, granted, PREFLIGHT } from "./support.js";

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
      made.use(((error, _req, _res, _next) => seen((error as Error).message)) satisfies ErrorRequestHandler);
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
