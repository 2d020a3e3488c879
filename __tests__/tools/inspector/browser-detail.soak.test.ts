import express, { type Express } from "express";
import type { Page } from "playwright-core";
import { cache } from "../../../src/cache/index.js";
import { requestContext } from "../../../src/context/index.js";
import { cors } from "../../../src/cors/index.js";
import { csrf } from "../../../src/csrf/index.js";
import { recover } from "../../../src/recover/index.js";
import { requestLog } from "../../../src/request-log/index.js";
import type { Detail } from "../../../tools/inspector/report.js";
import { describeInBrowser, withBrowser } from "../../support/browser.js";
import { memoryLogger } from "../../support/logger.js";
import { closeServers, listen } from "../../support/server.js";
import { choose, openPage, rowsAre } from "./browser-support.js";
import { closeInspectors, openInspector } from "./support.js";

afterEach(async () => {
  await closeInspectors();
  await closeServers();
});

/** With twelve layers. */
function app(): Express {
  const app = express();
  app.use(requestContext(), requestLog({ logger: memoryLogger() }), cors({ origin: "https://a.example" }));
  app.use(csrf(), cache(), express.json(), express.urlencoded());
  for (const name of ["one", "two"]) {
    app.use({ [name]: (_req: unknown, _res: unknown, next: () => void) => next() }[name] as never);
  }
  app.use("/admin", (_req, res) => void res.status(403).send("admins only"));
  app.get("/slow", function slowLayer(_req, _res, next) {
    next();
  });
  app.get("/calm", function calmLayer(_req, res) {
    res.send("calm");
  });
  app.get("/slow", (_req, res) => void res.set("Cache-Control", "private").send("slow"));
  app.get("/fast", (_req, res) => void res.set("Cache-Control", "private").send("fast"));
  app.get("/invoices/:id", async function renderInvoice() {
    throw new TypeError("no customer");
  });
  app.use(recover({ logger: memoryLogger() }));
  return app;
}

/** Opens the page after the app has answered one request to each path. */
async function withPage(paths: readonly string[], use: (tab: Page) => Promise<void>): Promise<void> {
  const inspected = app();
  const { url } = await listen(inspected);
  const ask = async (path: string) => (await fetch(url + path)).text();
  for (const path of paths) await ask(path); // the first request takes time in many layers
  const { url: page } = await openInspector(inspected);
  for (const path of paths) await ask(path);
  await withBrowser(async (browser) => {
    const tab = await openPage(browser.pages()[0] ?? (await browser.newPage()), page);
    await tab.setViewportSize({ width: 1280, height: 800 });
    await tab.route("**/requests/*", async (route) => {
      const detail = (await (await route.fetch()).json()) as Detail;
      await route.fulfill({ json: onIdleMachine(detail) });
    });
    await rowsAre(tab, paths.length);
    await use(tab);
  });
}

const text = (tab: Page, selector: string) => tab.locator(selector).first().innerText();
/** In the colour of the style sheet's --c3; the pixels at an edge are mixed with what is behind. */
const PIXELS_OF_P99 = `(canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let i = 0; i < data.length; i += 4)
    if (Math.abs(data[i] - 138) + Math.abs(data[i + 1] - 63) + Math.abs(data[i + 2] - 199) < 60 && data[i + 3] > 100) count++;
  return count;
}`;
const isSeen = (selector: string) => `[...document.querySelectorAll("${selector}")].every((layer) => {
  const { top, bottom } = layer.getBoundingClientRect();
  return top >= document.querySelector(".detail-head").getBoundingClientRect().bottom && bottom <= innerHeight; })`;

/** The layers that take time. On a busy machine others would as well, and be drawn in full. */
const HELD_MS: Readonly<Record<string, number>> = { slowLayer: 60, calmLayer: 20 };

function onIdleMachine({ calls, summary, sendingMs, ...rest }: Detail): Detail {
  const idle = calls.map((call) => ({ ...call, downMs: 0.02, heldMs: HELD_MS[call.name] ?? 0, upMs: 0.01 }));
  const totalMs = idle.reduce((sum, { downMs, heldMs, upMs }) => sum + downMs + heldMs + upMs, sendingMs);
  return { ...rest, calls: idle, sendingMs, summary: { ...summary, totalMs } };
}

/** The times of the layers that the first fold has, of which each is within the one before. */
const foldedTimes = (
  count: number,
) => `[...document.querySelector(".fold").parentElement.querySelectorAll(".layer")]
  .slice(0, ${count}).flatMap((layer) => [...layer.querySelectorAll(".ms")].map((ms) => ms.innerText))`;

describeInBrowser("in Chromium a request of an app with twelve layers", () => {
  it("shows who answered, who failed and what is slow without scrolling: layers that only passed it on are one line", async () => {
    await withPage(["/admin", "/slow", "/invoices/7"], async (tab) => {
      for (const [path, selector] of [
        ["/admin", ".layer.is-answer"],
        ["/slow", ".layer.is-slowest"],
        ["/invoices/7", ".layer.is-failed"],
      ] as const) {
        await choose(tab, path);
        await tab.locator(selector).waitFor();
        expect(await tab.evaluate(isSeen(selector))).toBe(true);
        expect(await tab.evaluate(isSeen(".layer.is-answer"))).toBe(true);
        expect(await text(tab, ".fold")).toMatch(/^[\d.]+ ms\s+\d+–\d+ \w+, \w+, \w+, \w+/);
      }
    });
  });

  it("opens that line by the keyboard, and its time is the sum of its layers", async () => {
    await withPage(["/slow"], async (tab) => {
      await choose(tab, "/slow");
      const layer = tab.locator(".fold + .layer").first();
      expect(await layer.isHidden()).toBe(true);
      const fold = tab.locator(".fold").first();
      const [ms = 0, from = 0, to = 0] = (await fold.innerText()).match(/[\d.]+/g)!.map(Number);
      await fold.focus();
      await tab.keyboard.press("Enter");
      expect(await layer.isVisible()).toBe(true);
      expect(await fold.getAttribute("aria-expanded")).toBe("true");
      const texts = (await tab.evaluate(foldedTimes(to - from + 1))) as string[];
      const times = texts.map((one) => Number.parseFloat(one.replace("↓", "")) || 0);
      const sum = times.reduce((all, one) => all + one, 0);
      expect(Math.abs(sum - ms)).toBeLessThanOrEqual(0.01 * (times.length + 1)); // each is rounded
      expect((await layer.boundingBox())!.height).toBeLessThanOrEqual(22);
      await tab.keyboard.press("Enter");
      expect(await layer.isHidden()).toBe(true);
    });
  });

  it("names the slowest layer in amber from 50 ms on, calmly from 10 ms on, and not below; its bar is its share", async () => {
    await withPage(["/slow", "/calm", "/fast"], async (tab) => {
      await choose(tab, "/slow");
      const [, share] = /^slowest: slowLayer 60\.0 ms, (\d+) % of the time$/.exec(
        await text(tab, ".slowest"),
      )!;
      expect(await tab.locator(".slowest.is-slow").count()).toBe(1);
      const shareOfBars = `(() => {
        const bars = document.querySelector(".is-slowest .bars");
        const width = (one) => one.getBoundingClientRect().width;
        return (100 * [...bars.children].reduce((sum, bar) => sum + width(bar), 0)) / width(bars);
      })()`;
      expect(Math.abs(((await tab.evaluate(shareOfBars)) as number) - Number(share))).toBeLessThan(2);
      await choose(tab, "/calm");
      expect(await text(tab, ".slowest")).toMatch(/^slowest: calmLayer 20\.0 ms/);
      expect(await tab.locator(".slowest.is-slow").count()).toBe(0);
      await choose(tab, "/fast");
      expect(await tab.locator(".slowest").count()).toBe(0);
    });
  });

  it("says of an error who failed first, and the place in the code", async () => {
    await withPage(["/invoices/7"], async (tab) => {
      const row = tab.locator("#list .row .by");
      expect(await row.innerText()).toMatch(/^renderInvoice threw TypeError\s+recover answered$/);
      const decisions = await choose(tab, "/invoices/7");
      expect(decisions).toMatch(/renderInvoice of GET \/invoices\/:id rejected with TypeError: no customer/);
      expect(decisions).toMatch(
        /at renderInvoice \(__tests__\/tools\/inspector\/browser-detail\.soak\.test\.ts:\d+:\d+\)/,
      );
      const facts = await tab.locator("#detail .facts > span").allInnerTexts();
      expect(facts[0]).toBe("renderInvoice threw TypeError");
      expect(facts[1]).toMatch(/^answered by\s*recover$/);
      expect(facts.join(" ")).toMatch(/route\s*\/invoices\/:id/);
    });
  });

  it("a function without a name has the same name in the head, the decision and the layers, with its place and its code", async () => {
    await withPage(["/admin"], async (tab) => {
      const decisions = await choose(tab, "/admin");
      const position = /Answered by an unnamed function \(\/admin\), layer (\d+), after two:/.exec(
        decisions,
      )![1]!;
      expect(await text(tab, "#detail .facts")).toMatch(/answered by\s*an unnamed function \(\/admin\)/);
      const layer = tab.locator(".layer.is-answer");
      expect(await layer.locator(".name").innerText()).toMatch(/^an unnamed function\s*\/admin$/);
      expect(await layer.locator(".name").getAttribute("data-layer")).toBe(position);
      expect(await layer.locator(".source").innerText()).toMatch(/res\.status\(403\)/);
      expect(await tab.locator(".decision.unexplained .verdict").innerText()).toBe("no reason given");
      expect(await tab.locator("button", { hasText: "contract" }).count()).toBe(0); // none is about this answer
    });
  });

  it("leaves the rows of the list as high as they were, and a chart is drawn in the room that its figures leave", async () => {
    await withPage(["/admin", "/slow", "/invoices/7", "/fast"], async (tab) => {
      const tops = () =>
        tab.evaluate(
          `[...document.querySelectorAll("#list .row")].map((row) => row.getBoundingClientRect().top)`,
        );
      const before = await tops();
      await choose(tab, "/invoices/7");
      expect(await tops()).toEqual(before);
      const fast = tab.locator("#list .row", { hasText: "/fast" });
      expect(await fast.locator(".mark").innerText()).toBe("not stored: private");
      expect(await fast.locator(".by").getAttribute("title")).toBe(
        "the handler of GET /fast, not stored: private",
      );

      const times = tab.locator("#charts figure").nth(1);
      await times.locator(".value", { hasText: /p99 \d/ }).waitFor();
      // Beside the longer figures its place is smaller than it was, and a sample alone is a dot, as no line leads to it.
      const purple = new Function(`return ${PIXELS_OF_P99}`)() as (canvas: unknown) => number;
      let count = 0;
      for (let tries = 0; count === 0 && tries < 200; tries++) {
        await tab.waitForTimeout(50);
        count = await times.locator("canvas").evaluate(purple);
      }
      expect(count).toBeGreaterThan(0);
      const [plot, canvas] = [times.locator(".plot"), times.locator("canvas")];
      expect((await canvas.boundingBox())!.width).toBeLessThan((await plot.boundingBox())!.width + 1);
    });
  });
});
