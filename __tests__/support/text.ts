import fc from "fast-check";

const SURROGATES = { first: 0xd800, count: 0x800 };

/**
 * A code point that is no half of a pair. fast-check's own unit "binary" is the same, but takes a second to list all million
 * of them.
 */
const codePoint = fc.integer({ min: 0, max: 0x10ffff - SURROGATES.count }).map(
  (n) => String.fromCodePoint(n < SURROGATES.first ? n : n + SURROGATES.count),
  (value) => {
    const code = String(value).codePointAt(0) ?? 0;
    if (String(value) !== String.fromCodePoint(code)) throw new Error("not one code point");
    return code < SURROGATES.first ? code : code - SURROGATES.count;
  },
);

/** Any text: control characters, quotes, other scripts, names such as `__proto__`. */
export function anyText(constraints: fc.StringSharedConstraints = {}): fc.Arbitrary<string> {
  return fc.string({ ...constraints, unit: codePoint });
}
