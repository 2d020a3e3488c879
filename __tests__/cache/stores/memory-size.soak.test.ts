import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { SOAK } from "../../support/soak.js";

const KINDS = ["tiny", "small", "variants", "tagged"];

it.each(
  SOAK ? KINDS : KINDS.slice(0, 1),
)("100,000 %s entries at a hit rate of 95 % take no more memory than was given", async (kind) => {
  const fixture = join(__dirname, "fixtures", "memory-size.ts");
  const run = promisify(execFile);
  const { stdout } = await run(process.execPath, ["--expose-gc", "--import", "tsx", fixture, kind]);
  const { taken, maxBytes, hitRate, stats } = JSON.parse(stdout);
  expect(hitRate).toBeCloseTo(0.95, 1);
  expect(stats.bytes).toBeGreaterThan(maxBytes * 0.99);
  expect(taken).toBeLessThan(maxBytes);
  expect(taken).toBeGreaterThan(maxBytes / 3); // much less would be a waste
}, 60_000);
