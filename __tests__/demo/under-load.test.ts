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
  const port = await freePort();
  origin = `http://localhost:${port}`;
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
    port,
    host: "localhost",
    signals: [],
    logger,
    probes: { live: "/livez", ready: "/readyz", checks: { database: { check, everyMs: 50 } } },
    drain: { idleGraceMs: 0 },
  });
});
afterEach(() => served.close());

/** The app must know its port before it is created. */
async function freePort(): Promise<number> {
  const probe = http.createServer().listen(0, "localhost");
  await new Promise((resolve) => probe.once("listening", resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

describeInBrowser("the demo's page", () => {
  it("shows what is served and refused under load, and whether the demo is ready", async () => {
    await withBrowser(async (browser) => {
      const page = await browser.newPage();
      /** Not waitForFunction: the page's policy forbids what it does. */
      const untilShown = async (expression: string) => {
        while (!(await page.evaluate(expression))) await page.waitForTimeout(20);
      };
      await page.goto(`${origin}/`);
      await untilShown("document.querySelector('#ready').textContent.includes('200')");
      expect(await page.textContent("#ready")).toContain('{"status":"pass"}');

      await page.click("#load");
      const heights = (id: string) =>
        `new Set(document.querySelector("${id}").getAttribute("d")?.match(/ [\\d.]+/g)).size`;
      await untilShown(`${heights("#served")} > 1 && ${heights("#refused")} > 1`);
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
  }, 60_000);
});

it("a page of another site cannot start the load", async () => {
  const answer = await fetch(`${origin}/load`, {
    method: "POST",
    headers: { origin: "https://evil.example", "sec-fetch-site": "cross-site" },
  });
  expect(answer.status).toBe(403);
});
