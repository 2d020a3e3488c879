import express, { type Express } from "express";
import { allowedHosts } from "../../../src/allowed-hosts/index.js";
import { apiKey, authenticate } from "../../../src/auth/index.js";
import { bodyLimit } from "../../../src/body-limit/index.js";
import { cache } from "../../../src/cache/index.js";
import { requestContext } from "../../../src/context/index.js";
import { cors } from "../../../src/cors/index.js";
import { cspReports } from "../../../src/csp-reports/index.js";
import { csrf } from "../../../src/csrf/index.js";
import { loadShed } from "../../../src/load-shed/index.js";
import { notFound } from "../../../src/not-found.js";
import { recover } from "../../../src/recover/index.js";
import { requestLog } from "../../../src/request-log/index.js";
import { memoryLogger } from "../../support/logger.js";
import { closeServers, listen, until } from "../../support/server.js";
import { closeInspectors, decisionOf, openInspector } from "./support.js";

afterEach(async () => {
  await closeInspectors();
  await closeServers();
});

/** Sends one request to the app, and returns what the inspector has of it. */
async function inspected(app: Express, path: string, init?: RequestInit) {
  const inspector = await openInspector(app);
  const { url } = await listen(app);
  await (await fetch(url + path, init)).text();
  const detail = await inspector.ended(path.split("?", 1)[0]!);
  await inspector.close();
  return detail;
}

const A = "https://a.example";

function guarded(): Express {
  const app = express();
  app.use(requestContext(), requestLog({ logger: memoryLogger() }));
  app.use(cors({ origin: A, methods: ["PUT"], allowedHeaders: ["X-Known"] }));
  app.use(csrf({ trustedOrigins: [A] }));
  app.use(cache());
  app.use(bodyLimit(10));
  app.use("/key", authenticate(apiKey({ keys: ["the-long-secret-key"] })));
  app.get("/key", (_req, res) => void res.send("in"));
  app.get("/fresh", (_req, res) => void res.set("Cache-Control", "max-age=60").send("fresh"));
  app.get("/plain", (_req, res) => void res.send("plain"));
  app.get("/cookie", (_req, res) => void res.set("Cache-Control", "max-age=60").cookie("a", "b").send("c"));
  app.post("/change", (_req, res) => void res.send("changed"));
  app.use(notFound(), recover({ logger: memoryLogger() }));
  return app;
}

const preflight = (headers: Record<string, string>): RequestInit => ({ method: "OPTIONS", headers });

describe("the decisions, in words", () => {
  it.each<[string, string, RequestInit, string, RegExp]>([
    [
      "a preflight of another origin",
      "/plain",
      preflight({ Origin: "https://evil.example", "Access-Control-Request-Method": "PUT" }),
      "cors",
      /^The preflight was refused: the origin “https:\/\/evil.example” is not allowed by the option origin of cors\.$/,
    ],
    [
      "a preflight with another method",
      "/plain",
      preflight({ Origin: A, "Access-Control-Request-Method": "DELETE" }),
      "cors",
      /the method “DELETE” is not in the option methods/,
    ],
    [
      "a preflight with another header",
      "/plain",
      preflight({
        Origin: A,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "x-other",
      }),
      "cors",
      /“x-other” are in the option allowedHeaders/,
    ],
    [
      "a request of another origin",
      "/plain",
      { headers: { Origin: "https://b.example" } },
      "cors",
      /keeps it from the page/,
    ],
    [
      "a request of an allowed origin",
      "/plain",
      { headers: { Origin: A } },
      "cors",
      /may read the answer\.$/,
    ],
    [
      "a forged form, by Sec-Fetch-Site",
      "/change",
      { method: "POST", headers: { Origin: "https://evil.example", "Sec-Fetch-Site": "cross-site" } },
      "csrf",
      /^Refused: Sec-Fetch-Site is “cross-site”, from “https:\/\/evil.example”/,
    ],
    [
      "a forged form, by Origin",
      "/change",
      { method: "POST", headers: { Origin: "https://evil.example" } },
      "csrf",
      /^Refused: Origin is “https:\/\/evil.example”, which is not this host/,
    ],
    ["a form without these headers", "/change", { method: "POST" }, "csrf", /^Passed: neither/],
    ["a request without credentials", "/key", {}, "auth", /^Refused: the request has no credentials\.$/],
    [
      "a wrong key",
      "/key",
      { headers: { "X-Api-Key": "wrong" } },
      "auth",
      /^Refused: the credentials are not known here\.$/,
    ],
    [
      "the right key",
      "/key",
      { headers: { "X-Api-Key": "the-long-secret-key" } },
      "auth",
      /^Authenticated by apiKey\.$/,
    ],
    [
      "a body that is too long",
      "/change",
      { method: "POST", body: "more than ten bytes" },
      "bodyLimit",
      /longer than bodyLimit allows/,
    ],
    [
      "an answer that was stored",
      "/fresh",
      {},
      "cache",
      /^Stored for the next requests\. Before, the cache had no answer for this URL\.$/,
    ],
    [
      "an answer without a lifetime",
      "/plain",
      {},
      "cache",
      /^Not stored: no header says for how long it may be reused/,
    ],
    [
      "an answer with a cookie",
      "/cookie",
      {},
      "cache",
      /^Not stored: the answer sets a cookie \(set by the handler\)\. Before, /,
    ],
    [
      "a request with a cookie",
      "/plain",
      { headers: { Cookie: "a=b" } },
      "cache",
      /^Bypassed: the request has a Cookie header/,
    ],
    ["no route", "/nothing", {}, "route", /^No route matched: answered by notFound\.$/],
  ])("%s", async (_what, path, init, about, expected) => {
    const detail = await inspected(guarded(), path, init);
    expect(decisionOf(detail, about)).toMatch(expected);
    expect(detail.record).toMatchObject({ path, status: detail.summary.status });
  });

  it("a host that is not allowed", async () => {
    const app = express();
    app.use(allowedHosts("api.example"));
    const detail = await inspected(app, "/");
    expect(decisionOf(detail, "allowedHosts")).toMatch(
      /^Refused: the host is not in the list of allowedHosts \(Host: “127/,
    );
    expect(detail.summary).toMatchObject({ status: 421, answeredBy: "allowedHosts" });
  });

  it("a request that is shed", async () => {
    const app = express();
    app.use(loadShed({ limit: 1 }));
    let finish: (() => void) | undefined;
    app.get("/{*rest}", (_req, res) => {
      finish = () => res.send("x");
    });
    const inspector = await openInspector(app);
    const { url } = await listen(app);
    const first = fetch(`${url}/first`);
    await until(() => finish !== undefined);
    await (await fetch(`${url}/second`)).text();
    const detail = await inspector.ended("/second");
    expect(decisionOf(detail, "loadShed")).toMatch(
      /^Refused: as many requests are in flight as loadShed allows\.$/,
    );
    expect(detail.summary).toMatchObject({ status: 503, answeredBy: "loadShed" });
    finish!();
    await first;
  });

  it("the second answer is served from the cache", async () => {
    const app = guarded();
    const inspector = await openInspector(app);
    const { url } = await listen(app);
    for (let i = 0; i < 2; i++) await (await fetch(`${url}/fresh`)).text();
    const detail = await inspector.ended(2);
    expect(detail.decisions.find(({ about }) => about === "cache")!.word).toBe("hit");
    expect(decisionOf(detail, "cache")).toMatch(/^Served from the cache, fresh for \d+ s more\.$/);
    expect(detail.summary.answeredBy).toBe("cache");
  });

  it("violation reports are shown with the request that brought them", async () => {
    const app = express();
    app.use(cspReports({ onReport: () => {} }));
    const body = JSON.stringify({
      "csp-report": { "document-uri": "https://a.example/x?token=abc", "violated-directive": "img-src" },
    });
    const detail = await inspected(app, "/reports", {
      method: "POST",
      body,
      headers: { "Content-Type": "application/csp-report" },
    });
    expect(detail.reports).toEqual([
      expect.objectContaining({
        type: "csp-violation",
        documentUrl: "https://a.example/x",
        effectiveDirective: "img-src",
      }),
    ]);
  });
});

describe("what is secret", () => {
  const SECRET = "s3cr3t-value";

  it("is in nothing that the page gets: credentials, cookies, unknown headers, queries, bodies", async () => {
    const app = express();
    app.use(requestLog({ logger: memoryLogger(), redact: { query: ["mine"] } }));
    app.post("/x", express.text({ type: () => true }), (req, res) => {
      res.cookie("session", SECRET);
      res.set("X-Csrf-Token", SECRET).set("Location", `/y?token=${SECRET}`);
      res.send(`${SECRET} ${req.body}`);
    });
    const detail = await inspected(app, `/x?token=${SECRET}&mine=${SECRET}&a=1`, {
      method: "POST",
      body: SECRET,
      headers: {
        Authorization: `Bearer ${SECRET}`,
        Cookie: `a=${SECRET}`,
        "X-Api-Key": SECRET,
        "X-Own-Header": SECRET,
        Referer: `https://a.example/?code=${SECRET}`,
      },
    });
    expect(detail.summary.query).toBe("token=REDACTED&mine=REDACTED&a=1");
    expect(JSON.stringify(detail)).not.toContain(SECRET);
    const names = detail.requestHeaders.filter(({ hidden }) => hidden).map(({ name }) => name.toLowerCase());
    expect(names.sort()).toEqual(["authorization", "cookie", "x-api-key", "x-own-header"]);
  });

  it("is what the app's request log says: paths that it redacts are, also in the list of what is in flight", async () => {
    const app = express();
    app.use(
      requestLog({
        logger: memoryLogger(),
        redact: { path: () => "/hidden" },
        ignore: (req) => req.path === "/b",
      }),
    );
    let finish!: () => void;
    app.get("/{*rest}", (_req, res) => {
      finish = () => res.send("x");
    });
    const inspector = await openInspector(app);
    const { url } = await listen(app);
    for (const path of [SECRET, "b"]) {
      const answer = fetch(`${url}/${path}`);
      for (let i = 0; i < 500 && finish === undefined; i++)
        await new Promise((resolve) => setTimeout(resolve, 2));
      expect(JSON.stringify(await inspector.all())).not.toContain(path === "b" ? '"/b"' : SECRET);
      finish();
      await answer;
    }
    expect((await inspector.ended(2)).summary.path).toBe("/hidden");
  });
});
