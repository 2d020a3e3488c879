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

const LETTERS_AND_DIGITS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/** Text of a URL's part: letters, digits, the other characters, and a few that are percent-encoded. */
function urlText(others: string): fc.Arbitrary<string> {
  const plain = fc.constantFrom(...LETTERS_AND_DIGITS, ...others);
  const encoded = codePoint.map((char) => {
    const text = encodeURIComponent(char);
    return text === char ? `%${char.charCodeAt(0).toString(16)}` : text;
  });
  return fc.string({ unit: fc.oneof({ weight: 10, arbitrary: plain }, { weight: 1, arbitrary: encoded }) });
}

/** As fast-check's `webPath`, which lists all code points as "binary" does. */
export function webPath(): fc.Arbitrary<string> {
  return fc.array(urlText("-._~!$&'()*+,;=:@")).map((segments) => segments.map((one) => `/${one}`).join(""));
}

/** As fast-check's `webQueryParameters`. */
export function webQuery(): fc.Arbitrary<string> {
  return urlText("-._~!$&'()*+,;=:@/?");
}

/** As fast-check's `webUrl`. */
export function webUrl({
  query = fc.constant(""),
}: {
  query?: fc.Arbitrary<string>;
} = {}): fc.Arbitrary<string> {
  return fc
    .tuple(fc.constantFrom("http", "https"), fc.domain(), webPath(), query)
    .map(([scheme, host, path, search]) => `${scheme}://${host}${path}${search}`);
}

/** Any text: control characters, quotes, other scripts, names such as `__proto__`. */
export function anyText(constraints: fc.StringSharedConstraints = {}): fc.Arbitrary<string> {
  return fc.string({ ...constraints, unit: codePoint });
}
