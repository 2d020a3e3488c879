import { readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describeInBrowser, withBrowser } from "../support/browser.js";
import { root } from "../support/markdown.js";
import { chartsIn, unreadable } from "./charts.js";

const folder = join(root, "docs/images");
const charts = readdirSync(folder).filter((file) => file !== "order.svg");

describeInBrowser("the charts of docs/images, as GitHub shows them", () => {
  it("can be read in light and in dark pages", async () => {
    expect(charts.length).toBeGreaterThan(4);
    await withBrowser(async (browser) => {
      const page = await browser.newPage();
      for (const file of charts) {
        await page.goto(pathToFileURL(join(folder, file)).href);
        for (const colorScheme of ["light", "dark"] as const) {
          await page.emulateMedia({ colorScheme });
          expect([file, await chartsIn(page), await unreadable(page)]).toEqual([file, 1, []]);
          const behind = await page.evaluate('getComputedStyle(document.querySelector("rect")).fill');
          expect([file, behind === "rgb(255, 255, 255)"]).toEqual([file, colorScheme === "light"]);
        }
      }
    });
  });
});
