import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, type BrowserContext, chromium } from "playwright-core";
import { SOAK } from "./soak.js";

const executablePath = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find(existsSync);
const missing = "chromium is not installed: apt-get install chromium";

/** For tests that need chromium, of `npm run test:soak`: without it they fail in CI, and are skipped elsewhere. */
export function describeInBrowser(name: string, tests: () => void): void {
  if (!SOAK) return;
  if (executablePath !== undefined) describe(name, tests);
  else if (process.env.CI !== "true") it.skip(`SKIPPED ${name}: ${missing}`, () => {});
  else
    it(name, () => {
      throw new Error(missing);
    });
}

const FLAGS = [
  ..."--no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-sync".split(" "),
  "--ignore-certificate-errors", // as a flag, because Playwright's own option does not apply to reports
  "--short-reporting-delay",
  "--host-resolver-rules=MAP *.example 127.0.0.1",
];

/** Of all tests of a file. */
let shared: Promise<Browser> | undefined;
afterAll(async () => (await shared)?.close());

/** A browser without cookies, cache or storage, that trusts every certificate and sends its reports soon. With more flags it is a process of its own. */
export async function withBrowser(
  use: (browser: BrowserContext) => Promise<void>,
  moreFlags: readonly string[] = [],
): Promise<void> {
  if (moreFlags.length > 0) return withOwnBrowser(use, moreFlags);
  shared ??= chromium.launch({ executablePath: executablePath!, args: FLAGS });
  const browser = await (await shared).newContext();
  try {
    await use(browser);
  } finally {
    await browser.close();
  }
}

async function withOwnBrowser(
  use: (browser: BrowserContext) => Promise<void>,
  moreFlags: readonly string[],
): Promise<void> {
  const profile = mkdtempSync(join(tmpdir(), "portico-chromium-"));
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: executablePath!,
    headless: !moreFlags.includes("--headless=new"), // Playwright's default, the old headless mode, has no extensions
    args: [...FLAGS, ...moreFlags],
  });
  try {
    await use(browser);
  } finally {
    await browser.close();
    rmSync(profile, { recursive: true, force: true });
  }
}
