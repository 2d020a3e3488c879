import http from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { demoApp } from "../../demo/app.js";
import { describeInBrowser, withBrowser } from "../support/browser.js";
import { certificate } from "../support/certificate.js";

const servers = new Set<http.Server>();

afterAll(async () => {
  for (const server of servers) server.closeAllConnections();
  await Promise.all([...servers].map((server) => new Promise((resolve) => server.close(resolve))));
});

async function demo(scheme: "http" | "https"): Promise<string> {
  const server = scheme === "http" ? http.createServer() : https.createServer(await certificate());
  servers.add(server);
  await new Promise<void>((resolve) => server.listen(0, "localhost", resolve));
  const ownOrigin = `${scheme}://localhost:${(server.address() as AddressInfo).port}`;
  const fibonacci = join(__dirname, "../../demo/fibonacci.mjs");
  const load = join(__dirname, "../../demo/load.mjs");
  const metricsOrigin = "http://localhost:9464";
  const log = { stream: { write() {} } };
  server.on(
    "request",
    demoApp({ ownOrigin, otherOrigin: "https://other.example", metricsOrigin, fibonacci, load, log }),
  );
  return ownOrigin;
}

describeInBrowser("the demo's page", () => {
  it.each([
    ["http", ["enforce"]],
    ["https", ["enforce", "report"]],
  ] as const)(
    "over %s shows what the browser reports of it: %j",
    async (scheme, dispositions) => {
      const origin = await demo(scheme);
      await withBrowser(async (browser) => {
        const page = await browser.newPage();
        await page.goto(`${origin}/`);
        await page.click("#provoke");
        await page.locator("#report", { hasText: "blockedUrl" }).waitFor();
        const shown = JSON.parse((await page.textContent("#report"))!);
        expect(shown).toMatchObject({
          type: "csp-violation",
          documentUrl: `${origin}/`,
          blockedUrl: expect.stringMatching(/^https:\/\/forbidden\.example\/image\.png\?\d+$/),
          effectiveDirective: "img-src",
          statusCode: 200,
        });
        expect(Object.keys(shown)).not.toEqual(expect.arrayContaining(["userAgent"]));
        let all: { disposition: string; blockedUrl: string; ageMs?: number }[] = [];
        while (all.length < dispositions.length) {
          all = await page.evaluate("fetch('/violations').then((answer) => answer.json())");
        }
        expect(all.map(({ disposition }) => disposition).sort()).toEqual(dispositions);
        expect(new Set(all.map(({ blockedUrl }) => blockedUrl))).toEqual(new Set([shown.blockedUrl]));
        // Only the Reporting API sends the age of a report.
        expect(all.map(({ disposition, ageMs }) => [disposition, ageMs !== undefined]).sort()).toEqual(
          dispositions.map((disposition) => [disposition, disposition === "report"]),
        );
      });
    },
    60_000,
  );
});
