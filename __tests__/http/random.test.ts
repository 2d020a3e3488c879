import { randomText } from "../../src/http/random.js";

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
