import { templateOfRegExp } from "../../../src/lib/express/mount-path.js";
import { covers } from "../../../tools/check/pipeline.js";
import { parametersOf } from "../../../tools/check/source.js";
import { InspectorReader } from "../../../tools/check/variables.js";

it.each<[unknown, readonly string[] | undefined]>([
  [new Function("a", "b", ""), ["a", "b"]],
  [
    (err: unknown, { a, b }: { a: 1; b: 2 }, next = [1, 2]) => [err, a, b, next],
    ["err", expect.stringMatching(/^\{/), expect.stringMatching(/^next = /)],
  ],
  [async (one: unknown) => one, ["one"]],
  [() => 0, []],
  [(a = "x, y") => a, undefined],
  [Math.max, undefined],
  [(() => 0).bind(null), undefined],
  [class {}, undefined],
  ["text", undefined],
])("reads the parameters of %s", (fn, expected) => {
  if (typeof fn === "function" && fn.toString().startsWith("function anonymous")) {
    expect(parametersOf(fn)?.map((name) => name.trim())).toEqual(expected);
  } else expect(parametersOf(fn)).toEqual(expected);
});

it.each<[string, string[], string | undefined]>([
  ["^\\/api\\/?(?=\\/|$)", [], "/api"],
  ["^\\/a(?:\\/([^/]+?))\\/?(?=\\/|$)", ["id"], "/a/:id"],
  ["^\\/a\\/(.*)\\/?(?=\\/|$)", ["0"], "/a/*"],
  ["^\\/x\\.y\\/z\\/?(?=\\/|$)", [], "/x.y/z"],
  ["^(?:\\/api)(?:\\/$)?(?=\\/|$)", [], "/api"],
  ["^(?:\\/a\\/([^\\/]+))(?:\\/$)?(?=\\/|$)", ["id"], "/a/:id"],
  ["^(?:\\/a\\/([^]+))(?:\\/$)?(?=\\/|$)", ["rest"], "/a/*rest"],
  ["^(?:\\/a\\/([^\\/]+)|\\/a)(?:\\/$)?(?=\\/|$)", ["b"], undefined],
  ["^\\/v(?:((?:(?!\\/|\\/v).)+?))\\/?(?=\\/|$)", ["version"], "/v:version"],
  ["^\\/a(?:\\/([^\\/]+?))?\\/?(?=\\/|$)", ["b"], undefined],
  ["^\\/old", [], "/^\\/old/"],
])("makes a template of %s", (source, keys, expected) => {
  expect(templateOfRegExp(source, keys)).toBe(expected);
});

it.each([
  ["/", "/a", true],
  ["*", "/a", true],
  ["/{*all}", "/a", true],
  ["/a", "/a/b", true],
  ["/a/", "/a/b", true],
  ["/a", "/ab", false],
  ["/a/b", "/a", false],
  ["/(?1)", "/(?2)/a", false],
])("%s covers %s: %s", (path, other, expected) => {
  expect(covers(path, other)).toBe(expected);
});

describe("a closure", () => {
  it("is read without a call", () => {
    const kept = { by: "identity" };
    const count = 7;
    let calls = 0;
    const fn = () => {
      calls++;
      return [kept, count];
    };
    const reader = new InspectorReader();
    const held = reader.read(fn, ["kept", "count", "nothing"]);
    reader.close();
    expect(held?.kept).toBe(kept);
    expect(held).toEqual({ kept, count: 7 });
    expect(calls).toBe(0);
  });

  it("of a built-in function is empty, of another value unknown", () => {
    const reader = new InspectorReader();
    expect(reader.read({}, ["a"])).toBeUndefined();
    expect(reader.read(Math.max, ["a"])).toEqual({});
    reader.close();
  });
});

it("a RegExp of the app is read in little time, however many slashes it has", () => {
  // The time once doubled with each slash.
  expect(templateOfRegExp(`^${"(?!\\/login$)".repeat(500)}|x`, [])).toBeUndefined();
  expect(templateOfRegExp(`^${"\\/a".repeat(2_000)}\\/?$`, [])).toMatch(/^\/\^/);
});
