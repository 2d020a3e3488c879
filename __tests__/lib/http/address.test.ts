import { isIP } from "node:net";
import fc from "fast-check";
import { plainAddress, readAddress } from "../../../src/lib/http/address.js";
import { casesOf } from "../../support/soak.js";

it.each([
  ["203.0.113.9", "203.0.113.9"],
  ["203.0.113.9:51234", "203.0.113.9"],
  ["2001:db8::1", "2001:db8::1"],
  ["2001:db8::8080", "2001:db8::8080"],
  ["[2001:db8::1]", "2001:db8::1"],
  ["[2001:db8::1]:443", "2001:db8::1"],
  ["fe80::1%eth0", "fe80::1"],
  ["[fe80::1%eth0]:5", "fe80::1"],
  ["::ffff:192.0.2.1", "192.0.2.1"],
  ["::FFFF:192.0.2.1", "192.0.2.1"],
  ["0:0:0:0:0:ffff:192.0.2.1", "192.0.2.1"],
  ["::ffff:c000:201", "192.0.2.1"],
  ["[::ffff:192.0.2.1]:5", "192.0.2.1"],
  ["::ffff", "::ffff"],
  ["::ffff:1", "::ffff:1"],
  ["1:ffff::c000:201", "1:ffff::c000:201"],
])("%s is %s", (written, address) => {
  expect(readAddress(written)).toBe(address);
});

it.each([
  "",
  "unknown",
  "_hidden",
  "1.2.3.4:x",
  "1.2.3.4:123456",
  "1.2.3",
  "1.2.3.256",
  "[1.2.3.4]x",
  "[::1",
  "::1]",
  "::ffff:1.2.3.256",
  "a.example",
  '"1.2.3.4"',
  " 1.2.3.4",
])("%j is no address", (written) => {
  expect(readAddress(written)).toBeUndefined();
});

it("any text gives an address without port, brackets and zone, or nothing", () => {
  const text = fc.oneof(
    fc.string(),
    fc.stringMatching(/^\[?[\d.:a-f%]{0,40}\]?(:\d{0,6})?$/),
    fc
      .tuple(
        fc.constantFrom("", "::ffff:", "[", "["),
        fc.oneof(fc.ipV4(), fc.ipV6()),
        fc.constantFrom("", "]", ":1", "]:80", "%a"),
      )
      .map((parts) => parts.join("")),
  );
  fc.assert(
    fc.property(text, (written) => {
      const address = readAddress(written);
      expect(address === undefined || (isIP(address) !== 0 && !/[%[\]]/.test(address))).toBe(true);
    }),
    { numRuns: casesOf(10_000) },
  );
});

it("every address is read in all the forms that proxies write, and as a socket has it", () => {
  const port = fc.integer({ min: 0, max: 65_535 });
  fc.assert(
    fc.property(fc.ipV4(), fc.ipV6(), port, (four, six, number) => {
      for (const form of [four, `${four}:${number}`, `::ffff:${four}`, `[::ffff:${four}]:${number}`])
        expect(readAddress(form)).toBe(four);
      const plain = plainAddress(six);
      for (const form of [six, `[${six}]`, `[${six}]:${number}`, `${six}%en0`])
        expect(readAddress(form)).toBe(plain);
      expect(new URL(`http://${isIP(plain) === 4 ? `[::ffff:${plain}]` : `[${plain}]`}`).hostname).toBe(
        new URL(`http://[${six}]`).hostname,
      );
    }),
    { numRuns: casesOf(5_000) },
  );
});
