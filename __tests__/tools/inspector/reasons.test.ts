import express, { type Express } from "express";
import { cache } from "../../../src/cache/index.js";
import { cors } from "../../../src/cors/index.js";
import { csrf } from "../../../src/csrf/index.js";
import { health } from "../../../src/health/index.js";
import { notFound } from "../../../src/not-found.js";
import { recover } from "../../../src/recover/index.js";
import { shortReason } from "../../../tools/inspector/cache-words.js";
import { placeOf } from "../../../tools/inspector/code-place.js";
import { memoryLogger } from "../../support/logger.js";
import { closeServers, listen } from "../../support/server.js";
import { callOf, closeInspectors, decisionOf, openInspector } from "./support.js";

afterEach(async () => {
  await closeInspectors();
  await closeServers();
});

/** Sends one request to the app, and returns what the inspector has of it. */
async function inspected(app: Express, path: string, init?: RequestInit) {
  const inspector = await openInspector(app);
  const { url } = await listen(app);
  await (await fetch(url + path, init)).text();
  return inspector.ended(path);
}

const SHOP = "https://shop.example";

describe("a 4xx or 5xx by code that has recorded no reason", () => {
  function app(): Express {
    const app = express();
    app.use(cors({ origin: SHOP }), function loadSession(_req, _res, next) {
      next();
    });
    app.use("/health", health({ checks: { db: () => Promise.reject(new Error("down")) } }));
    app.use("/admin", (_req, res) => void res.status(403).json({ error: "admins only" }));
    app.get("/busy", function busy(_req, res) {
      res.sendStatus(503);
    });
    app.get("/throws", () => {
      throw new RangeError("x");
    });
    app.get("/fine", (_req, res) => void res.send("fine"));
    app.use(notFound(), recover({ logger: memoryLogger() }));
    return app;
  }

  it.each([
    ["/admin", "an unnamed function (/admin), layer 3, after loadSession"],
    ["/busy", "busy of GET /busy, layer 4, after loadSession"],
  ])("%s: the first decision says who answered, and where that is among the layers", async (path, who) => {
    const { decisions, summary } = await inspected(app(), path);
    expect(decisions[0]).toEqual({
      about: "answer",
      verdict: "unexplained",
      word: "no reason given",
      text: `Answered by ${who}: it gave no reason that the inspector can see.`,
    });
    expect(who).toContain(summary.answeredBy);
  });

  it.each([
    ["a middleware of this package", "/health"],
    ["an error", "/throws"],
    ["no route", "/nothing"],
    ["a success", "/fine"],
  ])("is not said of %s", async (_what, path) => {
    expect(decisionOf(await inspected(app(), path), "answer")).toBeUndefined();
  });

  it("a function without a name is known by the beginning of its code; others have their names", async () => {
    const detail = await inspected(app(), "/admin");
    const unnamed = detail.calls.at(-1)!;
    expect(unnamed).toMatchObject({ name: "", path: "/admin" });
    expect(unnamed.source).toMatch(/^\(_req, ?res\) ?=> ?void res\.status\(403\)/);
    expect(unnamed.source!.length).toBeLessThanOrEqual(81);
    expect(callOf(detail, "loadSession").source).toBeUndefined();
  });
});

describe("what csrf refuses", () => {
  const refusedBy = async (site: string, origin = SHOP) => {
    const app = express();
    app.use(cors({ origin: SHOP }), csrf());
    const headers = { Origin: origin, "Sec-Fetch-Site": site };
    const detail = await inspected(app, "/orders", { method: "POST", headers });
    return decisionOf(detail, "csrf");
  };

  it("of the same site is from another origin of it, and of another site from that", async () => {
    expect(await refusedBy("same-site", "https://b.example")).toBe(
      "Refused: Sec-Fetch-Site is “same-site”, from “https://b.example”: a page of another origin of the same site has sent it.",
    );
    expect(await refusedBy("cross-site", "https://b.example")).toMatch(
      /: a page of another site has sent it\.$/,
    );
  });

  it("from an origin that cors allows: it says what to do", async () => {
    expect(await refusedBy("same-site")).toMatch(
      / has sent it\. cors allows this origin: to accept what its pages send, add it to trustedOrigins of csrf\.$/,
    );
  });
});

describe("what cache did not store", () => {
  async function fetched(path: string, init?: RequestInit) {
    const app = express();
    app.use(cache({ name: "edge" }));
    app.get("/private", (_req, res) => void res.set("Cache-Control", "private").send("x"));
    app.get("/named", function products(_req, res) {
      res.set("Cache-Control", "no-store").send("x");
    });
    app.get("/proxied", (_req, res) => {
      res.set({ "Cache-Control": "private", "Cache-Status": "origin; hit" }).send("x");
    });
    app.get("/failing", (_req, res) => void res.set("Cache-Control", "no-store").sendStatus(500));
    app.get("/stored", (_req, res) => void res.set("Cache-Control", "max-age=60").send("x"));
    const { decisions, summary } = await inspected(app, path, init);
    return { cached: decisions.filter(({ about }) => about === "cache"), marks: summary.marks };
  }

  it("has the reason first, who set the header, a word for the state, and a mark in the list", async () => {
    const { cached, marks } = await fetched("/private");
    expect(cached).toEqual([
      {
        about: "cache",
        verdict: "cache",
        word: "not stored",
        text: "Not stored: the answer's Cache-Control says private (set by the handler). Before, the cache had no answer for this URL.",
      },
    ]);
    expect(marks).toEqual([{ kind: "not cached", text: "not stored: private" }]);
    expect((await fetched("/named")).cached[0]!.text).toMatch(/says no-store \(set by products\)\./);
  });

  it("names the cache if there are several", async () => {
    const { cached, marks } = await fetched("/proxied");
    expect(cached.map(({ word, text }) => [word, text.split(":", 1)[0]])).toEqual([
      ["hit", "origin"],
      ["not stored", "edge"],
    ]);
    expect(marks).toEqual([{ kind: "not cached", text: "not stored: private" }]);
  });

  it("because it did not ask: the list says so too, but for methods and statuses, which the row has already", async () => {
    const { cached, marks } = await fetched("/stored", { headers: { Cookie: "a=b" } });
    expect(cached[0]!.word).toBe("bypassed");
    expect(marks).toEqual([{ kind: "not cached", text: "bypassed: cookie" }]);
    expect((await fetched("/stored")).marks).toEqual([]);
    expect((await fetched("/stored", { method: "POST" })).marks).toEqual([]);
    expect((await fetched("/failing")).marks).toEqual([]);
    expect(shortReason("portico; fwd=uri-miss; detail=no-freshness")).toBe("not stored: no max-age");
    expect(shortReason("portico; fwd=uri-miss; detail=status")).toBeUndefined();
    expect(shortReason("portico; fwd=uri-miss; stored")).toBeUndefined();
  });
});

describe("the place of an error", () => {
  const cwd = process.cwd();
  it.each([
    ["a function", `at renderInvoice (${cwd}/app.ts:29:50)`, "renderInvoice (app.ts:29:50)"],
    [
      "an async function",
      `at async Order.load (file://${cwd}/src/order.js?t=1:2:3)`,
      "Order.load (src/order.js:2:3)",
    ],
    ["no function", `at ${cwd}/app.ts:1:2`, "app.ts:1:2"],
    ["another folder", "at x (/elsewhere/a.js:1:2)", "x (/elsewhere/a.js:1:2)"],
  ])("is the first that is not in a package or Node: %s", (_what, line, place) => {
    const stack = [
      "TypeError: it broke",
      "    at JSON.parse (<anonymous>)",
      "    at Layer.handle (node:internal/x:1:2)",
      `    at next (${cwd}/node_modules/router/index.js:1:2)`,
      `    ${line}`,
      `    at later (${cwd}/later.ts:1:2)`,
    ];
    expect(placeOf(stack.join("\n"))).toBe(place);
  });

  it("is not known of an error without a stack, or without a line of the app", () => {
    expect(placeOf(undefined)).toBeUndefined();
    expect(placeOf("Error: x\n    at node:internal/x:1:2\n    at new Promise (<anonymous>)")).toBeUndefined();
  });
});
