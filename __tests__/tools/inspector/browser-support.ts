import type { Page } from "playwright-core";

/** Opens the page; errors in it and refusals of its policy fail the test. */
export async function openPage(tab: Page, url: string): Promise<Page> {
  const fail = (text: string) => {
    throw new Error(text);
  };
  tab.on("pageerror", (error) => fail(error.message));
  tab.on("console", (message) => message.type() === "error" && fail(message.text()));
  await tab.goto(url);
  await tab.locator("#state", { hasText: "live" }).waitFor();
  return tab;
}

/** Waits until the list has this many rows. The page's policy lets Playwright's `waitForFunction` evaluate nothing twice. */
export async function rowsAre(tab: Page, count: number): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    if ((await tab.locator("#list .row").count()) === count) return;
    await tab.waitForTimeout(20);
  }
  throw new Error(`the list has ${await tab.locator("#list .row").count()} rows, not ${count}`);
}

/** Selects the newest request with these texts, and returns its decisions. */
export async function choose(tab: Page, ...texts: string[]): Promise<string> {
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
