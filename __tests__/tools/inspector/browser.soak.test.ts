import { setTimeout as sleep } from "node:timers/promises";
import type { Express } from "express";
import express from "express";
import { WebSocket, WebSocketServer } from "ws";
import { cache } from "../../../src/cache/index.js";
import { requestContext } from "../../../src/context/index.js";
import { cors } from "../../../src/cors/index.js";
import { csrf } from "../../../src/csrf/index.js";
import { recover } from "../../../src/recover/index.js";
import { requestLog } from "../../../src/request-log/index.js";
import { describeInBrowser, withBrowser } from "../../support/browser.js";
import { memoryLogger } from "../../support/logger.js";
import { closeServers, listen } from "../../support/server.js";
import { choose, openPage, rowsAre } from "./browser-support.js";
import { closeInspectors, openInspector } from "./support.js";

afterEach(async () => {
  await closeInspectors();
  await closeServers();
});

function app(): Express {
  const app = express();
  app.use(requestContext(), requestLog({ logger: memoryLogger() }), cors({ origin: "https://a.example" }));
  app.use(csrf(), cache());
  app.use("/slow", function slowLayer(_req, _res, next) {
    setTimeout(next, 60);
  });
  app.get("/slow", (_req, res) => void res.send("slow"));
  app.get("/plain", (_req, res) => void res.send("plain"));
  app.post("/change", (_req, res) => void res.send("changed"));
  app.get("/panic", function thrower() {
    throw new TypeError("it <b>panicked</b>");
  });
  app.use(recover({ logger: memoryLogger() }));
  return app;
}

const EVIL = "https://evil.example";

describeInBrowser("in Chromium the page", () => {
  it("answers the questions of who debugs: a refused preflight, a 403, an answer that is not cached, a slow layer, a handler that throws", async () => {
    const inspected = app();
    const { url: page } = await openInspector(inspected);
    const { url } = await listen(inspected);
    await withBrowser(async (browser) => {
      const tab = await openPage(browser.pages()[0] ?? (await browser.newPage()), page);
      // Live: the page is open before the requests come.
      const ask = async (path: string, init?: RequestInit) => (await fetch(url + path, init)).text();
      await ask("/plain", {
        method: "OPTIONS",
        headers: { Origin: EVIL, "Access-Control-Request-Method": "PUT" },
      });
      await ask("/change", { method: "POST", headers: { Origin: EVIL, "Sec-Fetch-Site": "cross-site" } });
      await ask("/plain");
      await ask("/slow");
      await ask("/panic");

      const preflight = await choose(tab, "cors: origin");
      expect(preflight).toMatch(/The preflight was refused: the origin “https:\/\/evil\.example”/);
      expect(await tab.locator("#list .row", { hasText: "/change" }).locator(".by .who").innerText()).toBe(
        "csrf",
      );
      expect(await choose(tab, "/change")).toMatch(/Sec-Fetch-Site is “cross-site”/);
      expect(await choose(tab, "/plain", "200")).toMatch(
        /not stored\s+Not stored: no header says for how long it may be reused/,
      );
      await choose(tab, "/slow");
      expect(await tab.locator("#detail .slowest").innerText()).toMatch(
        /^slowest: slowLayer \d+(\.\d)? ms, \d+ % of the time$/,
      );
      expect(await tab.locator(".layer", { hasText: "slowest" }).innerText()).toMatch(/slowLayer/);
      const panic = tab.locator("#list .row", { hasText: "/panic" }).locator(".by");
      expect(await panic.innerText()).toMatch(/^thrower threw TypeError\s+recover answered$/);
      expect(await choose(tab, "/panic")).toMatch(/thrower of GET \/panic threw TypeError/);
      expect(await tab.locator(".layer.is-failed .name").innerText()).toBe("thrower");
      // What comes from requests is text.
      expect(await tab.locator("#detail b", { hasText: "panicked" }).count()).toBe(0);
      expect(await tab.locator(".layer.is-answer").innerText()).toMatch(/recover.*answered 500/s);
    });
  });

  it("filters, moves by keys, pauses, copies, and shows nothing over its edge on a phone", async () => {
    const inspected = app();
    const { url: page } = await openInspector(inspected);
    const { url } = await listen(inspected);
    for (const path of ["/plain", "/panic", "/plain?token=secret"]) await (await fetch(url + path)).text();
    await withBrowser(async (browser) => {
      const tab = await openPage(browser.pages()[0] ?? (await browser.newPage()), page);
      await browser.grantPermissions(["clipboard-read", "clipboard-write"]);
      await rowsAre(tab, 3);

      await tab.keyboard.press("/");
      await tab.keyboard.type("panic");
      await rowsAre(tab, 1);
      await tab.locator("#text").fill("");
      await tab.locator(".chip", { hasText: "5xx" }).click();
      await rowsAre(tab, 1);
      await tab.locator(".chip", { hasText: "5xx" }).click();

      await tab.locator("#list").focus();
      await tab.keyboard.press("j");
      await tab.locator("#detail .title", { hasText: "/plain" }).waitFor();
      await tab.keyboard.press("j");
      await tab.locator("#detail .title", { hasText: "/panic" }).waitFor();
      await tab.keyboard.press("c");
      const copied = () => tab.evaluate("navigator.clipboard.readText()");
      await tab.locator("#toast", { hasText: "curl" }).waitFor();
      expect(await copied()).toMatch(/^curl -i \\\n {2}http:\/\/127\.0\.0\.1:\d+\/panic \\\n/);
      await tab.keyboard.press("t");
      await tab.locator("#toast", { hasText: "contract" }).waitFor();
      expect(await copied()).toMatch(/routes: \{ failing: \{ path: "\/panic", status: 500 \} \}/);
      await tab.keyboard.press("Escape");
      expect(await tab.locator("#detail").isHidden()).toBe(true);

      await tab.keyboard.press("p");
      await (await fetch(`${url}/plain?late`)).text();
      await tab.waitForTimeout(500);
      expect(await tab.locator("#list .row").count()).toBe(3);
      await tab.keyboard.press("p");
      await rowsAre(tab, 4);

      await tab.setViewportSize({ width: 390, height: 844 });
      await tab.locator("#list .row", { hasText: "/panic" }).click();
      await tab.locator(".onion").waitFor();
      for (const scheme of ["light", "dark"] as const) {
        await tab.emulateMedia({ colorScheme: scheme });
        expect(await tab.evaluate("document.documentElement.scrollWidth <= innerWidth")).toBe(true);
      }
      expect(
        await tab.evaluate(
          "[...document.querySelectorAll('#detail *')].every((one) => one.getBoundingClientRect().right <= 391)",
        ),
      ).toBe(true);
    });
  });

  it("on a laptop it shows ten requests and more, leads to a layer below the fold, and remembers that the charts are hidden", async () => {
    const inspected = express();
    for (let i = 0; i < 25; i++) inspected.use((_req, _res, next) => next());
    inspected.get("/deep", async function deepest(_req, res) {
      await sleep(400); // longer than a busy machine may hold up another layer
      res.send("deep");
    });
    const { url: page } = await openInspector(inspected);
    const { url } = await listen(inspected);
    for (let i = 0; i < 20; i++) await (await fetch(`${url}/none`)).text();
    await (await fetch(`${url}/deep`)).text();
    await withBrowser(async (browser) => {
      const tab = await openPage(browser.pages()[0] ?? (await browser.newPage()), page);
      await tab.setViewportSize({ width: 1280, height: 800 });
      await rowsAre(tab, 21);
      expect(await tab.evaluate(VISIBLE_ROWS)).toBeGreaterThanOrEqual(15);
      await tab.locator("#list .row", { hasText: "/deep" }).click();
      await tab.locator(".is-slowest").waitFor();
      expect(await tab.evaluate(VISIBLE_ROWS)).toBeGreaterThanOrEqual(10);
      // To have the layers before it above it.
      for (const fold of await tab.locator(".fold").all()) await fold.click();
      const layer = tab.locator(".layer", { hasText: "deepest" });
      const isVisible = `(() => { const { top, bottom } = document.querySelector(".is-slowest").getBoundingClientRect();
        return top >= document.querySelector(".detail-head").getBoundingClientRect().bottom && bottom <= innerHeight; })()`;
      expect(await tab.evaluate(isVisible)).toBe(false);
      await tab.locator(".slowest").click();
      expect(await tab.evaluate(isVisible)).toBe(true);
      expect(await layer.getAttribute("class")).toMatch(/is-found/);

      const before = (await tab.evaluate(VISIBLE_ROWS)) as number;
      await tab.keyboard.press("g");
      expect(await tab.locator(".plot").first().isHidden()).toBe(true);
      expect(await tab.evaluate(VISIBLE_ROWS)).toBeGreaterThanOrEqual(before);
      await tab.reload();
      await tab.locator("#charts figure").first().waitFor();
      expect(await tab.locator(".plot").first().isHidden()).toBe(true);
      await tab.locator("#charts-button").click();
      await tab.locator(".plot").first().waitFor();
    });
  });

  it("the delay of the event loop is red when it is long, and not before; a WebSocket is open until it closes", async () => {
    const inspected = app();
    const { url: page } = await openInspector(inspected);
    const { url, server } = await listen(inspected);
    const wss = new WebSocketServer({ server });
    await withBrowser(async (browser) => {
      const tab = await openPage(browser.pages()[0] ?? (await browser.newPage()), page);
      const value = tab.locator("#charts figure").last().locator(".value");
      await tab.locator("#charts figure:last-child .value", { hasText: /\d/ }).waitFor();
      await tab.locator("#charts figure:last-child .value:not(.is-high)", { hasText: "ms" }).waitFor();
      const until = performance.now() + 300;
      while (performance.now() < until);
      await tab.locator("#charts figure:last-child .value.is-high").waitFor();
      expect(Number.parseFloat(await value.innerText())).toBeGreaterThanOrEqual(50);

      const socket = new WebSocket(`${url.replace("http", "ws")}/chat`);
      await tab
        .locator("#list .row", { hasText: "/chat" })
        .locator(".mark.open", { hasText: "open" })
        .waitFor();
      socket.close();
      const by = tab.locator("#list .row", { hasText: "/chat" }).locator(".by");
      await by.locator(".mark", { hasText: /^closed after [\d.]+ m?s$/ }).waitFor();
      expect(await by.innerText()).toMatch(/^upgrade listener/);
      expect(await choose(tab, "/chat")).toMatch(/switched to websocket/);
    });
    wss.close();
  });
});

/** How many rows of the list can be seen without scrolling. */
const VISIBLE_ROWS = `(() => { const { bottom } = document.querySelector("#list").getBoundingClientRect();
  return [...document.querySelectorAll("#list .row")].filter((row) => row.getBoundingClientRect().bottom <= bottom).length; })()`;
