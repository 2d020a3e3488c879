import { randomText, randomUuid } from "../../src/http/random.js";

it("gives out no text twice, over many fillings of the pool", () => {
  const texts = new Set(
    Array.from({ length: 20_000 }, (_, i) => randomText(i % 2 === 0 ? 16 : 18, "base64")),
  );
  expect(texts.size).toBe(20_000);
});

it.each([
  [16, "hex", /^[0-9a-f]{32}$/],
  [8, "hex", /^[0-9a-f]{16}$/],
  [18, "base64", /^[A-Za-z0-9+/]{24}$/],
] as const)("%i bytes as %s", (bytes, encoding, form) => {
  for (let i = 0; i < 1_000; i++) expect(randomText(bytes, encoding)).toMatch(form);
});

test("random UUIDs have the form of version 4, their digits are evenly spread, and none comes twice", () => {
  const ids = Array.from({ length: 40_000 }, randomUuid);
  expect(new Set(ids).size).toBe(ids.length);
  const counts = Array.from({ length: 36 }, () => new Map<string, number>());
  for (const id of ids) {
    expect(id).toMatch(/^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
    for (let i = 0; i < id.length; i++) counts[i]!.set(id[i]!, (counts[i]!.get(id[i]!) ?? 0) + 1);
  }
  for (const [i, count] of counts.entries()) {
    const kinds = i === 19 ? 4 : [8, 13, 14, 18, 23].includes(i) ? 1 : 16;
    expect(count.size).toBe(kinds);
    const mean = ids.length / kinds;
    for (const n of count.values()) expect(Math.abs(n - mean)).toBeLessThanOrEqual(8 * Math.sqrt(mean)); // 8 sigma
  }
});
