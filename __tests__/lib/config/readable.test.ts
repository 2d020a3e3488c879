import fc from "fast-check";
import { stderrLogger } from "../../../src/lib/log/stderr-logger.js";
import { readable } from "../../../src/lib/log/text.js";
import { anyText } from "../../support/text.js";

const FORBIDDEN = /[\x00-\x1f\x7f-\x9f\u2028\u2029\p{Bidi_Control}]/u;

it.each<[object, string]>([
  [{}, "done"],
  [{ a: 1, b: true, c: null, d: undefined }, "done a=1 b=true c=null"],
  [{ path: "/a", user: "ada l.", empty: "" }, 'done path=/a user="ada l." empty=""'],
  [{ quoted: 'a"b', pair: "a=b" }, 'done quoted="a\\"b" pair="a=b"'],
  [{ tags: ["a", "b"] }, 'done tags=["a","b"]'],
  [{ error: { type: "TypeError", message: "no" } }, "done error.type=TypeError error.message=no"],
  [{ headers: { "accept-language": "en", none: undefined } }, "done headers.accept-language=en"],
  [{ deep: { er: { a: 1 } } }, 'done deep.er={"a":1}'],
])("%j reads %j", (fields, line) => {
  expect(readable(fields, "done")).toBe(line);
});

it("a stack stands below, in place of the error's other parts", () => {
  const error = { type: "TypeError", message: "no", stack: "TypeError: no\n    at a.js:1\ncaused by: x" };
  expect(readable({ error, path: "/a" }, "failed")).toBe(
    "failed path=/a\n  TypeError: no\n      at a.js:1\n  caused by: x",
  );
});

it("nothing in a message or a field ends the line or moves a cursor", () => {
  const text = anyText();
  fc.assert(
    fc.property(text, text, text, (message, name, value) => {
      const line = readable({ [name]: value }, message);
      expect(line).not.toMatch(FORBIDDEN);
    }),
  );
});

it.each([
  true,
  false,
])("neither does what stands on standard error, whether it is a terminal (%p) or not", (isTTY) => {
  const evil = 'a\x1b[2J\x7f\x9b31m\u2028\u202e\u200f\u061c"';
  const before = Object.getOwnPropertyDescriptor(process.stderr, "isTTY");
  Object.defineProperty(process.stderr, "isTTY", { value: isTTY, configurable: true });
  const written = jest.spyOn(process.stderr, "write").mockReturnValue(true);
  try {
    stderrLogger.warn({ path: evil }, evil);
    const text = written.mock.calls.map(([chunk]) => String(chunk)).join("");
    expect(text.endsWith("\n")).toBe(true);
    expect(text.slice(0, -1)).not.toMatch(FORBIDDEN);
    if (!isTTY) expect(JSON.parse(text)).toMatchObject({ level: "warn", message: evil, path: evil });
  } finally {
    written.mockRestore();
    if (before === undefined) Reflect.deleteProperty(process.stderr, "isTTY");
    else Object.defineProperty(process.stderr, "isTTY", before);
  }
});
