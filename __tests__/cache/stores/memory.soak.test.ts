import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { buildFile } from "../../support/program.js";

const folder = mkdtempSync(join(tmpdir(), "portico-memory-"));
const held = join(folder, "held-memory.mjs");
const size = join(folder, "memory-size.mjs");
beforeAll(() => {
  buildFile(join(__dirname, "fixtures/held-memory.ts"), held);
  buildFile(join(__dirname, "fixtures/memory-size.ts"), size);
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("held memory", () => {
  const MIB = 1024 * 1024;
  /** For hints and back-off (4 MiB and 1 MiB), and for what processes differ by. */
  const BESIDE = 5 * MIB;
  const NOISE = 5 * MIB;

  /** The kinds of requests that the fixture knows, and how many of each. */
  const KINDS: [kind: string, count: number][] = [
    ["slices in headers", 2_000],
    ["plain", 2_000],
    ["own keys", 2_000],
    ["own keys of another alphabet", 2_000],
    ["variants", 2_000],
    ["answers that are not shared", 2_000],
    ["failing refreshes", 1_200],
  ];

  test.each(
    KINDS,
  )("of requests with 12 kB targets the cache holds no more than it says, in a small heap: %s", async (kind, count) => {
    const args = ["--expose-gc", "--max-old-space-size=96", held, kind, String(count)];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    const { taken, stats } = JSON.parse(stdout);
    expect(stats.misses).toBeGreaterThan(count);
    expect(stats.bytes).toBeLessThanOrEqual(32 * MIB);
    expect(taken).toBeLessThan(stats.bytes + BESIDE + NOISE);
  });
});

describe("the size", () => {
  const KINDS = ["tiny", "small", "variants", "tagged"];
  const count = 100_000;

  it.each(
    KINDS,
  )(`${count} %s entries at a hit rate of 95 %% take no more memory than was given`, async (kind) => {
    const { stdout } = await promisify(execFile)(process.execPath, [
      "--expose-gc",
      size,
      kind,
      String(count),
    ]);
    const { taken, maxBytes, hitRate, stats } = JSON.parse(stdout);
    expect(hitRate).toBeCloseTo(0.95, 1);
    expect(stats.bytes).toBeGreaterThan(maxBytes * 0.99);
    expect(taken).toBeLessThan(maxBytes);
    expect(taken).toBeGreaterThan(maxBytes / 3); // much less would be a waste
  });
});
