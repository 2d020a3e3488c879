import https from "node:https";
import type { AddressInfo } from "node:net";
import express from "express";
import { cspReports, type ViolationReport } from "../../src/csp-reports/index.js";
import { securityHeaders } from "../../src/security-headers/index.js";
import { describeInBrowser, withBrowser } from "../support/browser.js";
import { certificate } from "../support/certificate.js";
import { until } from "../support/server.js";
import { KEYS } from "./support.js";

const servers = new Set<https.Server>();

afterAll(async () => {
  for (const server of servers) server.closeAllConnections();
  await Promise.all([...servers].map((server) => new Promise((resolve) => server.close(resolve))));
});

async function listenTls(app: express.Express): Promise<string> {
  const server = https.createServer(await certificate(), app);
  servers.add(server);
  await new Promise<void>((resolve) => server.listen(0, "localhost", resolve));
  return `https://localhost:${(server.address() as AddressInfo).port}`;
}

describeInBrowser("a page of another origin", () => {
  it("can send reports after a preflight", async () => {
    const told: ViolationReport[] = [];
    const asked: unknown[] = [];
    const receiver = express();
    receiver.use((req, res, next) => {
      res.on("finish", () => asked.push([req.method, req.get("content-type"), res.statusCode]));
      next();
    });
    receiver.use("/", cspReports({ onReport: (report) => void told.push(report) }));
    const endpoint = await listenTls(receiver);

    const app = express();
    app.use(
      securityHeaders({
        contentSecurityPolicy: { reportTo: "csp", directives: { scriptSrc: ["'self'", "'report-sample'"] } },
        reportingEndpoints: { csp: `${endpoint}/` },
      }),
    );
    app.get("/", (_req, res) => void res.send(`<!doctype html><script>document.title = "It runs"</script>`));
    const origin = await listenTls(app);

    await withBrowser(async (browser) => {
      await (await browser.newPage()).goto(`${origin}/`);
      await until(() => told.length > 0);
    });
    expect(asked).toEqual([
      ["OPTIONS", undefined, 204],
      ["POST", "application/reports+json", 204],
    ]);
    expect(Object.keys(told[0]!)).toEqual(KEYS);
    expect(told).toEqual([
      expect.objectContaining({
        type: "csp-violation",
        documentUrl: `${origin}/`,
        blockedUrl: "inline",
        effectiveDirective: "script-src-elem",
        disposition: "enforce",
        sample: 'document.title = "It runs"',
        lineNumber: 1,
        ageMs: expect.any(Number),
      }),
    ]);
  });
});
