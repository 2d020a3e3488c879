import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { Registry } from "prom-client";
import { demoApp } from "../../demo/app.js";
import type { Database } from "../../demo/under-load.js";
import { type Served, serve } from "../../src/index.js";
import { describeInBrowser, withBrowser } from "../support/browser.js";
import { memoryLogger } from "../support/logger.js";

let served: Served;
let origin: string;
const registry = new Registry();
const logger = memoryLogger();

beforeEach(async () => {
  // The app must know its port before it is created.
  const server = http.createServer().listen(0, "localhost");
  await once(server, "listening");
  origin = `http://localhost:${(server.address() as AddressInfo).port}`;
  const database: Database = { isUp: true };
  const app = demoApp({
    ownOrigin: origin,
    otherOrigin: "http://localhost:1",
    metricsOrigin: "http://localhost:2",
    fibonacci: join(__dirname, "../../demo/fibonacci.mjs"),
    load: join(__dirname, "../../demo/load.mjs"),
    rate: { perSecond: 900, seconds: 1 },
    registry,
    database,
    log: { logger },
    recover: { logger },
  });
  const check = async () => {
    if (!database.isUp) throw new Error("down");
  };
  served = await serve(app, {
    server,
    signals: [],
    logger,
    probes: { live: "/livez", ready: "/readyz", checks: { database: { check, everyMs: 50 } } },
    drain: { idleGraceMs: 0 },
  });
});
afterEach(() => served.close());

/** Resolves when /readyz answers so: the check runs from time to time. */
async function readiness(wanted: number): Promise<void> {
  while ((await fetch(`${origin}/readyz`)).status !== wanted)
    await new Promise((resolve) => setTimeout(resolve, 10));
}

it("serves and refuses under load, sends what it counts, and is not ready without its database", async () => {
  const events = await fetch(`${origin}/load/events`);
  let told = "";
  const reading = (async () => {
    for await (const chunk of events.body!.pipeThrough(new TextDecoderStream())) told += chunk;
  })();
  const counts = () =>
    told
      .split("\n\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line.slice("data: ".length)));
  const isUnderLoad = () => counts().some(({ served, shed }) => served > 0 && shed > 0);
  // A busy machine sends less than it should: then once more, but not before the next event.
  for (let i = 0; !isUnderLoad(); i++) {
    if (i % 60 === 0) expect((await fetch(`${origin}/load`, { method: "POST" })).status).toBe(202);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }

  await readiness(200);
  await fetch(`${origin}/database`, { method: "POST" });
  await readiness(503);
  await fetch(`${origin}/database`, { method: "POST" });
  await readiness(200);
  await served.close();
  await reading; // the stream ends with the server
  expect(logger.entries.filter(({ fields }) => fields.path === "/work")).toEqual([]); // the load is not logged
  expect(await registry.metrics()).toMatch(/portico_refused_total\{by="loadShed",reason="\w+"\} [1-9]/);
});

describeInBrowser("the demo's page", () => {
  it("shows what is served and refused under load, and whether the demo is ready", async () => {
    await withBrowser(async (browser) => {
      const page = await browser.newPage();
      /** Not waitForFunction: the page's policy forbids what it does. */
      const shown = async (expression: string, patienceMs: number) => {
        const end = performance.now() + patienceMs;
        while (!(await page.evaluate(expression))) {
          if (performance.now() > end) return false;
          await page.waitForTimeout(20);
        }
        return true;
      };
      const untilShown = (expression: string) => shown(expression, Number.POSITIVE_INFINITY);
      await readiness(200); // the page asks once
      await page.goto(`${origin}/`);
      await untilShown("document.querySelector('#ready').textContent.includes('200')");
      expect(await page.textContent("#ready")).toContain('{"status":"pass"}');

      const heights = (id: string) =>
        `new Set(document.querySelector("${id}").getAttribute("d")?.match(/ [\\d.]+/g)).size`;
      const hasHeights = `${heights("#served")} > 1 && ${heights("#refused")} > 1`;
      // On a busy machine the load can be over before the page hears of it. While it goes on, a click changes nothing.
      do await page.click("#load");
      while (!(await shown(hasHeights, 2_000)));
      expect(await page.textContent("#rates")).toMatch(/\d+ served and \d+ refused in a second/);
      expect(await page.isVisible("#chart")).toBe(true);

      await page.click("#database");
      await untilShown("document.querySelector('#ready').className === 'bad'");
      expect(await page.textContent("#ready")).toContain('503 {"status":"fail"}');
      await page.click("#database");
      await untilShown("document.querySelector('#ready').className === 'good'");
    });
    expect(logger.entries.filter(({ fields }) => fields.path === "/work")).toEqual([]); // the load is not logged
    expect(await registry.metrics()).toMatch(/portico_refused_total\{by="loadShed",reason="\w+"\} [1-9]/);
  });
});

it("a page of another site cannot start the load", async () => {
  const answer = await fetch(`${origin}/load`, {
    method: "POST",
    headers: { origin: "https://evil.example", "sec-fetch-site": "cross-site" },
  });
  expect(answer.status).toBe(403);
});
