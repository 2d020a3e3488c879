import fc from "fast-check";
import { decodeEntry, encodeEntry } from "../../../src/cache/stores/redis-format.js";
import { anyText } from "../../support/text.js";
import { entryOf } from "./support.js";

const text = anyText();
const entries = fc.record({
  status: fc.integer({ min: 200, max: 599 }),
  reason: text,
  headers: fc.array(fc.tuple(text, fc.oneof(text, fc.integer(), fc.array(text)))),
  body: fc.uint8Array({ maxLength: 2_000 }).map((bytes) => Buffer.from(bytes)),
  requestedAt: fc.nat(),
  respondedAt: fc.nat(),
  authorized: fc.boolean(),
  tags: fc.array(text),
});

it("decodes what it has encoded", () => {
  fc.assert(
    fc.property(entries, (entry) => {
      expect(decodeEntry(encodeEntry(entry))).toEqual(entry);
    }),
  );
});

it("never throws, and refuses what is truncated or too long", () => {
  fc.assert(
    fc.property(entries, fc.nat(), fc.uint8Array({ minLength: 1 }), (entry, at, more) => {
      const bytes = encodeEntry(entry);
      expect(decodeEntry(bytes.subarray(0, at % bytes.length))).toBeUndefined();
      expect(decodeEntry(Buffer.concat([bytes, more]))).toBeUndefined();
    }),
  );
});

it("refuses any other bytes, and never throws", () => {
  const magic = encodeEntry(entryOf("")).subarray(0, 4);
  fc.assert(
    fc.property(fc.uint8Array(), fc.boolean(), (bytes, isMarked) => {
      expect(decodeEntry(isMarked ? Buffer.concat([magic, bytes]) : Buffer.from(bytes))).toBeUndefined();
    }),
  );
});

it.each<[string, (head: Record<string, unknown>) => void]>([
  ["status", (head) => (head.s = "200")],
  ["reason", (head) => delete head.r],
  ["headers", (head) => (head.h = {})],
  ["header", (head) => (head.h = [["a"]])],
  ["header's name", (head) => (head.h = [[1, "a"]])],
  ["header's value", (head) => (head.h = [["a", null]])],
  ["header's list", (head) => (head.h = [["a", [1]]])],
  ["times", (head) => (head.q = null)],
  ["response's time", (head) => (head.p = "1")],
  ["authorization", (head) => (head.a = 1)],
  ["tags", (head) => (head.t = [1])],
  ["length", (head) => delete head.n],
])("refuses a wrong %s", (_what, spoil) => {
  const bytes = encodeEntry(entryOf("body"));
  const length = bytes.readUInt32BE(4);
  const head = JSON.parse(bytes.toString("utf8", 8, 8 + length)) as Record<string, unknown>;
  const build = () => {
    const json = Buffer.from(JSON.stringify(head));
    const size = Buffer.alloc(4);
    size.writeUInt32BE(json.length);
    return Buffer.concat([bytes.subarray(0, 4), size, json, bytes.subarray(8 + length)]);
  };
  expect(decodeEntry(build())).toBeDefined();
  spoil(head);
  expect(decodeEntry(build())).toBeUndefined();
});
