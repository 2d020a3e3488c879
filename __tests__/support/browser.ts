import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BrowserContext, chromium } from "playwright-core";

const executablePath = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find(existsSync);
const missing = "chromium is not installed: apt-get install chromium";

/** Tests that need chromium: without it they fail in CI, and are said to be skipped elsewhere. */
export function describeInBrowser(name: string, tests: () => void): void {
  if (executablePath !== undefined) describe(name, tests);
  else if (process.env.CI !== "true") it.skip(`SKIPPED ${name}: ${missing}`, () => {});
  else
    it(name, () => {
      throw new Error(missing);
    });
}

/** A browser with a fresh profile, which trusts every certificate and sends its reports soon. */
export async function withBrowser(
  use: (browser: BrowserContext) => Promise<void>,
  moreFlags: readonly string[] = [],
): Promise<void> {
  const profile = mkdtempSync(join(tmpdir(), "portico-chromium-"));
  const flags = "--no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-sync";
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: executablePath!,
    headless: !moreFlags.includes("--headless=new"), // the old one, which Playwright asks for, has no extensions
    // The certificates as a flag: what only holds for pages does not hold for their reports.
    args: [...flags.split(" "), "--ignore-certificate-errors", "--short-reporting-delay", ...moreFlags],
  });
  try {
    await use(browser);
  } finally {
    await browser.close();
    rmSync(profile, { recursive: true, force: true });
  }
}
