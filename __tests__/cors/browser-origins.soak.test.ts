import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import express from "express";
import type { CorsOptions } from "../../src/cors/index.js";
import { describeInBrowser, withBrowser } from "../support/browser.js";
import { closeServers, listen } from "../support/server.js";
import { appOf } from "./support.js";

const folder = mkdtempSync(join(tmpdir(), "portico-origins-"));
const extension = join(folder, "extension");
mkdirSync(extension);
writeFileSync(join(folder, "page.html"), "<p>a file</p>");
writeFileSync(join(extension, "page.html"), "<p>an extension's page</p>");
writeFileSync(join(extension, "worker.js"), "self.started = true;");
writeFileSync(
  join(extension, "manifest.json"),
  JSON.stringify({
    manifest_version: 3,
    name: "of the tests",
    version: "1",
    background: { service_worker: "worker.js" },
  }),
);
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(closeServers);

const FILES = "--allow-file-access-from-files";
const EXTENSION = [
  "--headless=new",
  `--load-extension=${extension}`,
  `--disable-extensions-except=${extension}`,
  "--disable-features=DisableLoadExtensionCommandLineSwitch",
];

const app = appOf(express);

describeInBrowser("in Chromium", () => {
  /** What the page can read from each server, with a method that needs a preflight. */
  async function readsOf(
    kind: "file" | "extension",
    flags: readonly string[],
    servers: readonly ((origin: string) => CorsOptions)[],
  ): Promise<string[]> {
    const reads: string[] = [];
    await withBrowser(async (browser) => {
      const page = await browser.newPage();
      let origin = "file://";
      if (kind === "file") await page.goto(`file://${join(folder, "page.html")}`);
      else {
        const worker = browser.serviceWorkers()[0] ?? (await browser.waitForEvent("serviceworker"));
        origin = new URL(worker.url()).href.replace(/\/worker\.js$/, "");
        await page.goto(`${origin}/page.html`);
      }
      for (const options of servers) {
        const { url } = await listen(app(options(origin)));
        reads.push(
          await page.evaluate(
            (address) =>
              fetch(address, { method: "PUT" }).then(
                (res) => res.text(),
                () => "refused",
              ),
            url,
          ),
        );
      }
    }, flags);
    return reads;
  }

  it("a page with the origin file:// is allowed by name, by function and by RegExp", async () => {
    const reads = await readsOf(
      "file",
      [FILES],
      [
        () => ({ origin: "file://" }),
        () => ({ origin: (origin) => origin === "file://" }),
        () => ({ origin: [/^file:\/\/$/] }),
        () => ({ origin: "https://a.example" }),
        () => ({ origin: "https://a.example", allowNull: true }),
        () => ({ origin: () => true, credentials: true }),
      ],
    );
    expect(reads).toEqual(["PUT reached", "PUT reached", "PUT reached", "refused", "refused", "refused"]);
  });

  it("without that flag the origin of a file is null", async () => {
    const reads = await readsOf(
      "file",
      [],
      [() => ({ origin: "file://" }), () => ({ origin: "https://a.example", allowNull: true })],
    );
    expect(reads).toEqual(["refused", "PUT reached"]);
  });

  it("an extension's page is allowed by its own origin, and by the pattern for all extensions", async () => {
    const reads = await readsOf("extension", EXTENSION, [
      (origin) => ({ origin }),
      () => ({ origin: "chrome-extension://*" }),
      () => ({ origin: /^chrome-extension:\/\/[a-p]{32}$/ }),
      () => ({ origin: "moz-extension://*" }),
      (origin) => ({ origin: `${origin.slice(0, -1)}${origin.endsWith("a") ? "b" : "a"}` }),
    ]);
    expect(reads).toEqual(["PUT reached", "PUT reached", "PUT reached", "refused", "refused"]);
  });
});
