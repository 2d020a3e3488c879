import express from "express";
import type { Page } from "playwright-core";
import { csrf } from "../../src/csrf/index.js";
import { describeInBrowser, withBrowser } from "../support/browser.js";
import { closeServers, listen, until } from "../support/server.js";

afterEach(closeServers);

/** One visit: what Chromium sent to the guarded app, and what csrf decided. */
interface Visit {
  readonly method: string;
  readonly path: string;
  readonly site: string | undefined;
  readonly origin: string | undefined;
  readonly status: number;
}

const form = (action: string, id: string) =>
  `<form id="${id}" method="post" action="${action}" enctype="text/plain"><input name="a" value="b"></form>`;

describeInBrowser("in Chromium", () => {
  it("the app's own forms and fetches pass, those of another site, of a sandboxed frame and after a redirect are refused", async () => {
    const visits: Visit[] = [];
    const guarded = express();
    guarded.use((req, res, next) => {
      const { method, path } = req;
      const [site, origin] = [req.get("sec-fetch-site"), req.get("origin")];
      res.on("finish", () => visits.push({ method, path, site, origin, status: res.statusCode }));
      next();
    });
    guarded.use(csrf());
    guarded.get("/", (_req, res) => void res.send(`<!doctype html>${form("/own-form", "own")}`));
    guarded.use((_req, res) => void res.send("reached"));
    const { port } = await listen(guarded);
    const own = `http://localhost:${port}`; // of another site than 127.0.0.1, and trustworthy: Chromium sends Sec-Fetch-Site

    const attacker = express();
    attacker.post("/bounce", (_req, res) => res.redirect(307, `${own}/bounced`));
    attacker.get("/", (_req, res) => {
      const frame = form(`${own}/sandboxed`, "f") + "<script>f.submit()</script>";
      const sandbox = `<iframe sandbox="allow-scripts allow-forms" srcdoc='${frame}'></iframe>`;
      res.send(`<!doctype html>${form(`${own}/form`, "cross")}${form("/bounce", "bounce")}${sandbox}`);
    });
    const other = await listen(attacker);

    const outcome = (path: string) => visits.find((visit) => visit.path === path && visit.method === "POST");
    await withBrowser(async (browser) => {
      const page = await browser.newPage();
      const submit = async (from: string, id: string) => {
        await page.goto(from);
        await Promise.all([page.waitForNavigation(), page.evaluate((name) => submitForm(name), id)]);
      };
      await page.addInitScript("window.submitForm = (id) => document.getElementById(id).submit()");
      await submit(`${own}/`, "own");
      await page.goto(`${own}/`);
      await send(page, "/own-fetch", {});
      await submit(`${other.url}/`, "cross");
      await submit(`${other.url}/`, "bounce");
      await page.goto(`${other.url}/`);
      await send(page, `${own}/simple`, { mode: "no-cors" });
      await until(() => outcome("/sandboxed") !== undefined);
    });
    expect(outcome("/own-form")).toMatchObject({ site: "same-origin", status: 200 });
    expect(outcome("/own-fetch")).toMatchObject({ site: "same-origin", status: 200 });
    expect(outcome("/form")).toMatchObject({ site: "cross-site", origin: other.url, status: 403 });
    expect(outcome("/bounced")).toMatchObject({ status: 403 });
    expect(outcome("/simple")).toMatchObject({ site: "cross-site", origin: other.url, status: 403 });
    expect(outcome("/sandboxed")).toMatchObject({ origin: "null", status: 403 });
    expect(visits.filter(({ method, status }) => method === "GET" && status === 403)).toEqual([]);
  });
});

/** Defined in the page. */
declare function submitForm(id: string): void;

async function send(page: Page, url: string, init: { mode?: "no-cors" }): Promise<void> {
  await page.evaluate(
    ([to, more]) => fetch(to, { method: "POST", body: "a=b", ...more }).then(String, String),
    [url, init] as const,
  );
}
