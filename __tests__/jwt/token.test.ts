import fc from "fast-check";
import { hasDuplicates, readToken } from "../../src/jwt/token.js";
import { b64, good } from "./support.js";

/** A naive check: parses the text again, with the names of each object as they are written. */
function naive(text: string): boolean {
  let at = 0;
  let found = false;
  const space = () => {
    while (" \t\r\n".includes(text[at] ?? "x")) at++;
  };
  const string = (): string => {
    const start = at++;
    while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
    at++;
    return JSON.parse(text.slice(start, at)) as string;
  };
  const value = (): void => {
    space();
    if (text[at] === '"') string();
    else if (text[at] === "{" || text[at] === "[") {
      const isObject = text[at++] === "{";
      const names: string[] = [];
      for (space(); !"]}".includes(text[at]!); space()) {
        if (isObject) {
          names.push(string());
          space();
          at++;
        }
        value();
        space();
        if (text[at] === ",") at++;
        space();
      }
      at++;
      if (new Set(names).size < names.length) found = true;
    } else while (at < text.length && !" \t\r\n,]}".includes(text[at]!)) at++;
  };
  value();
  return found;
}

/** JSON texts with few names, so that duplicates are frequent, and with white space. */
const { json } = fc.letrec<{ json: string; object: string; list: string; leaf: string }>((tie) => {
  const name = fc.constantFrom('"a"', '"b"', '"\\u0061"', '":"', '"\\""', '"\\\\"', '"__proto__"', '"{"');
  const space = fc.constantFrom("", " ", "\n\t");
  return {
    leaf: fc.constantFrom('"a:b"', '"\\":"', "1", "-1.5e3", "true", "null", '""', '"\\\\"', '"}{"'),
    object: fc
      .array(fc.tuple(name, space, tie("json"), space), { maxLength: 4 })
      .map(
        (members) => `{${members.map(([key, s, inner, t]) => `${t}${key}${s}:${s}${inner}${t}`).join(",")}}`,
      ),
    list: fc.array(tie("json"), { maxLength: 3 }).map((items) => `[${items.join(" , ")}]`),
    json: fc.oneof({ maxDepth: 4, depthSize: "small" }, tie("leaf"), tie("object"), tie("list")),
  };
});

it("finds objects with duplicate members", () => {
  let twice = 0;
  fc.assert(
    fc.property(json, (text) => {
      const told = hasDuplicates(text);
      if (told) twice++;
      return told === naive(text);
    }),
    { numRuns: 5_000 },
  );
  expect(twice).toBeGreaterThan(200);
});

it("finds duplicates that are written with escapes", () => {
  // Node 24 itself reads the second name of the first text as a backslash.
  for (const text of [
    '{"\\u0061":1,"\\u0061":2}',
    '{"a":1,"\\u0061":2}',
    '{"\\/":1,"/":2}',
    '{"a" :1,"a"\n:2}',
  ]) {
    expect([text, hasDuplicates(text)]).toEqual([text, true]);
  }
  for (const text of ['{"a":"a"}', '{"a":{"a":[{"a":1},{"a":1}]},"b":"\\"a\\":1"}', '["a","a"]', '"a"']) {
    expect([text, hasDuplicates(text)]).toEqual([text, false]);
  }
});

it("reads nothing that is not a token", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.string().map(b64),
        fc.array(fc.string().map(b64)).map((parts) => parts.join(".")),
      ),
      (text) => {
        expect(readToken(text)).toBeUndefined();
      },
    ),
  );
});

it("reads a token", () => {
  const text = good("ES256", { list: [1, { a: null }] }, { kid: "1" });
  expect(readToken(text)).toEqual({
    text,
    header: { alg: "ES256", kid: "1" },
    claims: expect.objectContaining({ sub: "ann", list: [1, { a: null }] }),
    written: expect.stringMatching(/^\{"iss":.*\}$/),
  });
});

it("does not read more than 16 KiB", () => {
  const sized = (length: number) => good("ES256", { a: "x".repeat(length) });
  expect(readToken(sized(11_900))).toBeDefined();
  expect(readToken(sized(12_300))).toBeUndefined();
  expect(readToken(sized(10_000_000))).toBeUndefined();
});

it("keeps parsed headers, but only a limited number", () => {
  const claims = b64({ sub: "ann" });
  for (let i = 0; i < 250; i++) {
    for (let twice = 0; twice < 2; twice++) {
      expect(readToken(`${b64({ alg: "ES256", kid: String(i) })}.${claims}.AAAA`)?.header).toEqual({
        alg: "ES256",
        kid: String(i),
      });
    }
  }
});
