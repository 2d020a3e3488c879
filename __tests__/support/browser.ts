import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BrowserContext, chromium } from "playwright-core";

const executablePath = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find(existsSync);
const missing = "chromium is not installed: apt-get install chromium";

/** For tests that need chromium: without it they fail in CI, and are skipped elsewhere. */
export function describeInBrowser(name: string, tests: () => void): void {
  if (executablePath !== undefined) describe(name, tests);
  else if (process.env.CI !== "true") it.skip(`SKIPPED ${name}: ${missing}`, () => {});
  else
    it(name, () => {
      throw new Error(missing);
    });
}

/** A browser with a fresh profile that trusts every certificate and sends its reports soon. */
export async function withBrowser(
  use: (browser: BrowserContext) => Promise<void>,
  moreFlags: readonly string[] = [],
): Promise<void> {
  const profile = mkdtempSync(join(tmpdir(), "portico-chromium-"));
  const flags = "--no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-sync";
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: executablePath!,
    headless: !moreFlags.includes("--headless=new"), // Playwright's default, the old headless mode, has no extensions
    // As a flag, because Playwright's own option does not apply to reports.
    args: [...flags.split(" "), "--ignore-certificate-errors", "--short-reporting-delay", ...moreFlags],
  });
  try {
    await use(browser);
  } finally {
    await browser.close();
    rmSync(profile, { recursive: true, force: true });
  }
}
