import type { Express } from "express";
import express from "express";
import type { Page } from "playwright-core";
import { cache } from "../../../src/cache/index.js";
import { requestContext } from "../../../src/context/index.js";
import { cors } from "../../../src/cors/index.js";
import { csrf } from "../../../src/csrf/index.js";
import { recover } from "../../../src/recover/index.js";
import { requestLog } from "../../../src/request-log/index.js";
import { describeInBrowser, withBrowser } from "../../support/browser.js";
import { memoryLogger } from "../../support/logger.js";
import { closeServers, listen } from "../../support/server.js";
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
      const tab = await open(browser.pages()[0] ?? (await browser.newPage()), page);
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
        /not stored: its headers name no time for which it is fresh/,
      );
      await choose(tab, "/slow");
      expect(await tab.locator(".layer", { hasText: "slowest" }).innerText()).toMatch(/slowLayer/);
      expect(await choose(tab, "/panic")).toMatch(/thrower of GET \/panic threw TypeError/);
      expect(await tab.locator(".layer.is-failed .name").innerText()).toBe("thrower");
      // What comes from requests is text.
      expect(await tab.locator("#detail b", { hasText: "panicked" }).count()).toBe(0);
      expect(await tab.locator(".layer.is-answer").innerText()).toMatch(/recover.*answered 500/s);
    });
  }, 90_000);

  it("filters, moves by keys, pauses, copies, and shows nothing over its edge on a phone", async () => {
    const inspected = app();
    const { url: page } = await openInspector(inspected);
    const { url } = await listen(inspected);
    for (const path of ["/plain", "/panic", "/plain?token=secret"]) await (await fetch(url + path)).text();
    await withBrowser(async (browser) => {
      const tab = await open(browser.pages()[0] ?? (await browser.newPage()), page);
      await browser.grantPermissions(["clipboard-read", "clipboard-write"]);
      await tab.waitForFunction('document.querySelectorAll("#list .row").length === 3');

      await tab.keyboard.press("/");
      await tab.keyboard.type("panic");
      await tab.waitForFunction('document.querySelectorAll("#list .row").length === 1');
      await tab.locator("#text").fill("");
      await tab.locator(".chip", { hasText: "5xx" }).click();
      await tab.waitForFunction('document.querySelectorAll("#list .row").length === 1');
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
      await tab.waitForFunction('document.querySelectorAll("#list .row").length === 4');

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
  }, 90_000);
});

/** Opens the page; errors in it and refusals of its policy fail the test. */
async function open(tab: Page, url: string): Promise<Page> {
  const fail = (text: string) => {
    throw new Error(text);
  };
  tab.on("pageerror", (error) => fail(error.message));
  tab.on("console", (message) => message.type() === "error" && fail(message.text()));
  await tab.goto(url);
  await tab.locator("#state", { hasText: "live" }).waitFor();
  return tab;
}

/** Selects the newest request with these texts, and returns its decisions. */
async function choose(tab: Page, ...texts: string[]): Promise<string> {
  let row = tab.locator("#list .row");
  for (const hasText of texts) row = row.filter({ hasText });
  await row.first().click();
  const id = (await row.first().getAttribute("id"))!;
  await tab.locator(`#${id}[aria-selected="true"]`).waitFor();
  const path = await row.first().locator(".target").innerText();
  await tab.locator("#detail .title", { hasText: path.split("?")[0]! }).waitFor();
  await tab.locator("#detail .onion").waitFor();
  return tab.locator("#detail .decisions").innerText();
}
