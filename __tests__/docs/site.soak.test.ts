import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import express from "express";
import type { BrowserContext, Page } from "playwright-core";
import { LAYERS } from "../../docs/.vitepress/order.js";
import { SECTIONS } from "../../docs/.vitepress/pages.js";
import { describeInBrowser, withBrowser } from "../support/browser.js";
import { root } from "../support/markdown.js";
import { closeServers, listen } from "../support/server.js";
import { chartsIn, unreadable } from "./charts.js";

const docs = join(root, "docs");

/** The pages that show charts, and how many. The picture of the order is none: it has a test of its own. */
const withCharts = readdirSync(docs, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".md"))
  .map((file) => {
    const shown = readFileSync(join(docs, file), "utf8").matchAll(/^!\[.*\]\(.*images\/(.*)\.svg\)/gm);
    const charts = [...shown].filter(([, name]) => name !== "order").length;
    return [file.replace(/\.md$/, ".html"), charts] as const;
  })
  .filter(([, charts]) => charts > 0);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "portico-site-"));
});
afterAll(async () => {
  await closeServers();
  rmSync(folder, { recursive: true, force: true });
});

describeInBrowser("the site", () => {
  let base: string;

  beforeAll(async () => {
    const site = join(folder, "site");
    // No proxy listens there: a build that loads anything over the network fails.
    const nowhere = "http://127.0.0.1:9";
    const env = {
      ...process.env,
      NODE_ENV: "production",
      HTTP_PROXY: nowhere,
      HTTPS_PROXY: nowhere,
      http_proxy: nowhere,
      https_proxy: nowhere,
    };
    const vitepress = join(root, "node_modules/vitepress/bin/vitepress.js");
    await promisify(execFile)(process.execPath, [vitepress, "build", docs, "--outDir", site], {
      env,
      cwd: root,
    });
    const app = express();
    app.use(express.static(site));
    base = `http://127.0.0.1:${(await listen(app)).port}`;
  }, 300_000);

  /** Runs it in a browser of that width; nothing may fail, and nothing may leave this machine. */
  async function at(
    width: number,
    use: (page: Page, context: BrowserContext) => Promise<void>,
  ): Promise<void> {
    await withBrowser(async (browser) => {
      const problems: string[] = [];
      browser.on("console", (message) => {
        if (["error", "warning"].includes(message.type())) problems.push(message.text());
      });
      browser.on("weberror", (error) => void problems.push(String(error.error())));
      browser.on("request", (request) => {
        if (!/^(?:data|blob):/.test(request.url()) && !request.url().startsWith(base))
          problems.push(request.url());
      });
      const page = await browser.newPage();
      await page.setViewportSize({ width, height: 844 });
      await use(page, browser);
      expect(problems).toEqual([]);
    });
  }

  const open = async (page: Page, path: string) => {
    const response = await page.goto(`${base}/${path}`, { waitUntil: "networkidle" });
    expect([path, response?.status()]).toEqual([path, 200]);
  };

  it("every page opens on a phone, does not scroll sideways, and its links lead to pages and headings", async () => {
    const ids = new Map<string, Set<string>>();
    const links: [page: string, targets: string[]][] = [];
    await at(390, async (page) => {
      for (const [, path] of SECTIONS.flatMap(({ pages }) => pages)) {
        const file = path.replace(/\.md$/, ".html");
        await open(page, file);
        expect(await page.locator("h1").first().textContent()).toBeTruthy();
        expect([file, await page.evaluate("document.documentElement.scrollWidth")]).toEqual([file, 390]);
        const found = await page.locator("[id]").evaluateAll((all) => all.map(({ id }) => id));
        ids.set(`${base}/${file}`, new Set(found));
        const targets = await page
          .locator("main a[href], .vp-doc a[href]")
          .evaluateAll((all) => all.map((one) => one.getAttribute("href")!));
        const absolute = targets.map((target) => new URL(target, `${base}/${file}`).href);
        links.push([file, absolute.filter((target) => target.startsWith(base))]);
      }
    });
    const broken: string[] = [];
    for (const [file, targets] of links)
      for (const target of targets) {
        const [path = "", hash] = target.split("#");
        const known = ids.get(path.endsWith("/") ? `${path}index.html` : path);
        const isThere = known !== undefined || (await fetch(path)).ok;
        if (!isThere || (hash && !known?.has(decodeURIComponent(hash)))) broken.push(`${file}: ${target}`);
      }
    expect(broken).toEqual([]);
    expect(links.flatMap(([, targets]) => targets).length).toBeGreaterThan(400);
  }, 300_000);

  it("every layer of the order leads to its page, with the keyboard too", async () => {
    await at(1280, async (page) => {
      for (const start of ["index.html", "guides/order.html"]) {
        await open(page, start);
        const links = page.locator("svg.order a");
        expect(await links.count()).toBe(LAYERS.length);
        for (const [i, { name }] of LAYERS.entries())
          expect(await links.nth(i).textContent()).toContain(name);
      }
      const cors = LAYERS.findIndex(({ name }) => name === "cors");
      await page.locator("svg.order a").nth(cors).click();
      await page.waitForURL(`${base}/cors.html`);
      await open(page, "index.html");
      await page.locator("svg.order a").nth(0).focus();
      for (let i = 0; i < cors; i++) await page.keyboard.press("Tab");
      await page.keyboard.press("Enter");
      await page.waitForURL(`${base}/cors.html`);
    });
  });

  it("a search finds the right page first or second", async () => {
    const wanted: Record<string, string> = {
      preflight: "cors.html",
      helmet: "migrating/helmet.html",
      lambda: "guides/lambda.html",
      "503": "guides/statuses.html",
      "csrf token": "csrf.html",
      "graceful shutdown": "serve.html",
      nestjs: "guides/nestjs.html",
      gateway: "integrations.html",
      websocket: "guides/websockets-and-sse.html",
      morgan: "migrating/morgan.html",
      kubernetes: "production.html",
    };
    await at(1280, async (page) => {
      await open(page, "index.html");
      await page.locator("#local-search button").first().click();
      const results = page.locator("#localsearch-list a");
      for (const [text, wantedPage] of Object.entries(wanted)) {
        await page.locator("#localsearch-input").fill("nothingathastheseletters");
        await page.locator(".no-results").waitFor();
        await page.locator("#localsearch-input").fill(text);
        await results.first().waitFor();
        const targets = await results.evaluateAll((all) => all.map((one) => one.getAttribute("href")!));
        const first = [...new Set(targets.map((target) => target.replace(/^\/|#.*$/g, "")))].slice(0, 2);
        expect([text, first]).toEqual([text, expect.arrayContaining([wantedPage])]);
      }
    });
  });

  it("the home page leads those who come from helmet, Nest and Lambda to their page, on a phone too", async () => {
    for (const width of [390, 1280]) {
      await at(width, async (page) => {
        for (const [name, target] of [
          ["helmet", "migrating/helmet.html"],
          ["NestJS", "guides/nestjs.html"],
          ["Lambda", "guides/lambda.html"],
        ]) {
          await open(page, "index.html");
          await page
            .locator("main .vp-doc, .VPHome")
            .getByRole("link", { name: name!, exact: true })
            .first()
            .click();
          await page.waitForURL(`${base}/${target}`);
        }
      });
    }
  });

  it("charts can be read in light and in dark, whatever the system prefers", async () => {
    expect(withCharts.map(([path]) => path)).toEqual(
      expect.arrayContaining(["load-shed.html", "performance.html"]),
    );
    for (const system of ["light", "dark"] as const)
      for (const chosen of ["light", "dark"])
        await at(390, async (page) => {
          await page.emulateMedia({ colorScheme: system });
          await page.addInitScript(`localStorage.setItem("vitepress-theme-appearance", "${chosen}")`);
          for (const [path, charts] of withCharts) {
            await open(page, path);
            expect(await page.evaluate('document.documentElement.classList.contains("dark")')).toBe(
              chosen === "dark",
            );
            expect([path, await chartsIn(page), await unreadable(page)]).toEqual([path, charts, []]);
          }
        });
  });
});
