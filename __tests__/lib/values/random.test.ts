import { randomText, randomUuid } from "../../../src/lib/values/random.js";

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

it("UUIDs are of version 4, each a new one, over many batches", () => {
  const uuids = Array.from({ length: 2_000 }, randomUuid);
  expect(new Set(uuids).size).toBe(2_000);
  // RFC 9562 section 5.4: the digit of the version is 4, the two bits of the variant are 10.
  const form = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
  expect(uuids.filter((uuid) => !form.test(uuid))).toEqual([]);
  // Every digit of every other place is a random one: each of the sixteen comes up among so many.
  for (let place = 0; place < 36; place++) {
    const digits = new Set(uuids.map((uuid) => uuid[place]));
    expect(digits.size).toBe([8, 13, 14, 18, 23].includes(place) ? 1 : place === 19 ? 4 : 16);
  }
});
