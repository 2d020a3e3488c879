import type { ErrorRequestHandler, RequestHandler } from "express";
import express from "express";
import fc from "fast-check";
import request from "supertest";
import { chain } from "../../src/chain/index.js";
import { casesOf } from "../support/soak.js";
import { type Complaint, catchComplaints } from "./support.js";

let complaints: Complaint[];
beforeEach(() => {
  complaints = catchComplaints();
});
afterEach(() => void jest.restoreAllMocks());

/** What a member does: at once, or a turn of the event loop later. */
const DEEDS = ["pass", "throw", "reject", "fail", "fail with 0", "pass twice", "answer", "route"] as const;
type Deed = (typeof DEEDS)[number];
interface Plan {
  readonly deed: Deed;
  readonly later: boolean;
}

function memberOf({ deed, later }: Plan, index: number, trail: string[]): RequestHandler {
  return (_req, res, next) => {
    trail.push(`${index}`);
    const error = new Error(`${index}`);
    if (deed === "throw") throw error; // it cannot be late
    const act = (): unknown => {
      switch (deed) {
        case "pass":
          return next();
        case "pass twice":
          next();
          return next();
        case "fail":
          return next(error);
        case "fail with 0":
          return next(0);
        case "route":
          return next("route");
        case "answer":
          return res.send(`answered by ${index}`);
        case "reject":
          throw error;
      }
    };
    if (!later) return deed === "reject" ? Promise.reject(error) : void act();
    const turn = new Promise((resolve) => setImmediate(resolve));
    const done = turn.then(() => void act());
    return deed === "reject" ? done : undefined;
  };
}

/** A short model of the rules: which members run, and what the client gets. */
function oracle(plans: readonly Plan[]): { trail: string[]; body: string } {
  const trail: string[] = [];
  for (const [index, { deed }] of plans.entries()) {
    trail.push(`${index}`);
    if (deed === "answer") return { trail, body: `answered by ${index}` };
    if (deed === "route") return { trail, body: "the next route" };
    if (deed === "throw" || deed === "reject" || deed === "fail") return { trail, body: `error ${index}` };
  }
  return { trail, body: "behind" };
}

const onError: ErrorRequestHandler = (error, _req, res, _next) =>
  void res.status(500).send(`error ${error.message}`);

async function outcomeOf(mount: (router: express.Router, trail: string[]) => unknown) {
  const trail: string[] = [];
  const app = express();
  const router = express.Router();
  mount(router, trail);
  app.use(router);
  app.use((_req, res) => void res.send("the next route"));
  app.use(onError);
  const { text: body } = await request(app).get("/");
  await new Promise(setImmediate);
  return { trail, body };
}

const plans = fc.array(fc.record({ deed: fc.constantFrom(...DEEDS), later: fc.boolean() }), {
  minLength: 1,
  maxLength: 8,
});

it("a chain does what its members do as handlers of one route, except for a second next()", async () => {
  await fc.assert(
    fc.asyncProperty(plans, async (list) => {
      complaints.length = 0;
      const behind: RequestHandler = (_req, res) => void res.send("behind");
      const ours = await outcomeOf((router, trail) => {
        const members = list.map((plan, i) => memberOf(plan, i, trail));
        router.get("/", chain(...members.slice(0, -1)).then(members.at(-1)!), behind);
      });
      expect(ours).toEqual(oracle(list));
      const doubled = ours.trail.filter((i) => list[Number(i)]!.deed === "pass twice").length;
      // A lone last handler is not wrapped: its second next() counts.
      if (list.length > 1) expect(complaints).toHaveLength(doubled);

      if (list.some(({ deed }) => deed === "pass twice")) return; // Express would run the rest twice
      const theirs = await outcomeOf((router, trail) => {
        router.get("/", ...list.map((plan, i) => memberOf(plan, i, trail)), behind);
      });
      expect(ours).toEqual(theirs);
    }),
    { numRuns: casesOf(400) },
  );
});

it("error handlers in a chain: the nearest on the left, then the next one", async () => {
  const kinds = fc.constantFrom("member", "answers", "passes on", "throws", "rejects");
  await fc.assert(
    fc.asyncProperty(fc.array(kinds, { minLength: 1, maxLength: 8 }), fc.nat(7), async (list, at) => {
      // The error is made by the member at `at`, or by the last handler.
      const failing = list[at] === "member" ? at : list.length;
      const visited: number[] = [];
      const { body } = await outcomeOf((router) => {
        const members = list.map((kind, index): RequestHandler | ErrorRequestHandler => {
          const member: RequestHandler = (_req, _res, next) =>
            next(index === failing ? new Error("made") : undefined);
          if (kind === "member") return member;
          const onError: ErrorRequestHandler = (error, _req, res, next) => {
            visited.push(index);
            if (kind === "answers") res.send(`answered by ${index}`);
            else if (kind === "passes on") next(error);
            else if (kind === "throws") throw error;
            else return Promise.reject(error);
            return undefined;
          };
          return onError;
        });
        router.use(
          chain(...members).then(() => {
            throw new Error("made");
          }),
        );
      });
      const expected: number[] = [];
      let answered = "error made";
      for (let i = failing - 1; i >= 0; i--) {
        if (list[i] === "member") continue;
        expected.push(i);
        if (list[i] === "answers") {
          answered = `answered by ${i}`;
          break;
        }
      }
      expect([visited, body]).toEqual([expected, answered]);
      expect(complaints).toEqual([]);
    }),
    { numRuns: casesOf(300) },
  );
});
