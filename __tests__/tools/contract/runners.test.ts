import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { contract } from "express-portico/testing";
import { inSoak, oneIn } from "../../support/soak.js";
import { demoExpectations, demoParts, inProduction, mount } from "./demo-parts.js";

inProduction();
const root = join(__dirname, "../../..");

function nodeTest(env: Record<string, string>): Promise<{ code: number; output: string }> {
  const file = join(__dirname, "node-test-example.mjs");
  return new Promise((resolve) => {
    const options = { cwd: root, env: { ...process.env, NODE_ENV: "production", ...env } };
    execFile(process.execPath, ["--test", "--test-reporter=tap", file], options, (error, stdout) => {
      resolve({ code: error === null ? 0 : Number(error.code), output: stdout });
    });
  });
}

const isBuilt = existsSync(join(root, "dist/esm/testing/index.js"));
if (!isBuilt && process.env.CI !== "true") {
  it.skip("SKIPPED, dist has no testing: npm run build", () => {});
} else {
  inSoak(() => {
    it("node:test runs the cases, each a test of its own, and ends by itself", async () => {
      const { code, output } = await nodeTest({});
      expect([code, output.match(/^# fail .*/m)?.[0]]).toEqual([0, "# fail 0"]);
      expect(output).toMatch(
        /^ok \d+ - a page at https:\/\/app\.example can read the 404 of an unknown path$/m,
      );
    });
  });

  inSoak(() =>
    it("node:test names the case that fails, and says what a browser would see", async () => {
      const { code, output } = await nodeTest({ BROKEN: "1" });
      expect(code).toBe(1);
      expect(output).toMatch(/^not ok \d+ - a preflight from https:\/\/app\.example is granted$/m);
      expect(output).toContain("A browser would not send the GET of a page at https://app.example");
    }),
  );
}

it("the cases have the same results if a runner starts them all at once", async () => {
  // Those that count lines, requests or places need the app for themselves.
  const given = demoExpectations([]);
  const routes = { ...given.routes, busy: undefined };
  const cases = contract(mount(demoParts([])), { ...given, routes, log: undefined, metrics: undefined });
  const outcomes = await Promise.allSettled(oneIn(2, cases).map(({ run }) => run()));
  expect(outcomes.filter(({ status }) => status === "rejected")).toEqual([]);
});

it("a case can run again", async () => {
  const [first] = contract(mount(demoParts([])), { routes: { ok: "/hello" } });
  await first!.run();
  await first!.run();
});
