import fc from "fast-check";
import { isHeaderValue } from "../../src/lib/http/tokens.js";
import { endpointUrlProblem, serializeEndpoints } from "../../src/security-headers/header-options.js";
import { securityHeaders } from "../../src/security-headers/index.js";
import { serializePermissions } from "../../src/security-headers/permissions-policy.js";
import { anyText } from "../support/text.js";
import { parsePolicy } from "./support.js";

const label = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/);
const host = fc.tuple(label, label).map((labels) => labels.join("."));
const origin = fc.tuple(fc.constantFrom("https://", "http://"), host).map((parts) => parts.join(""));

it("a permissions policy reads back as it was given", () => {
  const list = fc.oneof(
    fc.constant("*" as const),
    fc.uniqueArray(fc.oneof(fc.constant("self"), origin), { maxLength: 4 }),
  );
  const policies = fc.dictionary(fc.stringMatching(/^[a-z][a-z0-9-]{0,12}$/), list, { minKeys: 1 });
  fc.assert(
    fc.property(policies, (policy) => {
      const text = serializePermissions(policy) ?? "";
      expect(isHeaderValue(text)).toBe(true);
      const read = text.split(", ").map((member) => {
        const [feature = "", value = ""] = member.split("=");
        const inner = value.replace(/[()]/g, "");
        const members = inner === "" ? [] : inner.split(" ").map((one) => one.replace(/"/g, ""));
        return [feature, value === "*" ? "*" : members];
      });
      expect(Object.fromEntries(read)).toEqual({ ...policy });
    }),
  );
});

it("an endpoint's address, whatever is in it, is refused or reads back as it was given", () => {
  const tail = fc.oneof(anyText(), fc.stringMatching(/^[\x21-\x7e"\\]{0,12}$/));
  fc.assert(
    fc.property(fc.tuple(origin, tail), ([start, end]) => {
      const url = `${start}/${end}`;
      if (endpointUrlProblem(url) !== undefined) return;
      const text = serializeEndpoints({ csp: url }) ?? "";
      expect(isHeaderValue(text)).toBe(true);
      expect(readQuoted(text.slice("csp=".length))).toBe(url);
    }),
    { numRuns: 500 },
  );
});

/** RFC 9651 section 4.2.5, letter by letter. */
function readQuoted(text: string): string {
  let read = "";
  let i = 1;
  for (; text[i] !== '"'; i++) {
    if (text[i] === "\\") i++;
    read += text[i];
  }
  expect([text[0], i]).toEqual(['"', text.length - 1]);
  return read;
}

it("a content security policy reads back as it was given, and keeps to its directives", () => {
  const source = fc.oneof(origin, host, fc.constantFrom("'self'", "https:", "data:", "'unsafe-eval'", "*"));
  const names = fc.constantFrom("imgSrc", "font-src", "connectSrc", "media-src", "frameSrc");
  const directives = fc.dictionary(names, fc.array(source, { minLength: 1, maxLength: 4 }));
  fc.assert(
    fc.property(directives, (given) => {
      const sent = policySentWith(given);
      const expected = Object.entries(given).map(([name, values]) => [name.replace("Src", "-src"), values]);
      expect(parsePolicy(sent)).toMatchObject(Object.fromEntries(expected));
      expect(Object.keys(parsePolicy(sent))).toHaveLength(5 + expected.length);
    }),
  );
});

it("any value of a directive is refused at the start or makes a valid header", () => {
  const value = fc.oneof(anyText(), fc.stringMatching(/^['a-z*:;,/. -]{0,12}$/));
  fc.assert(
    fc.property(fc.constantFrom("img-src", "sandbox", "trusted-types", "report-uri"), value, (name, text) => {
      let sent: string | undefined;
      try {
        sent = policySentWith({ [name]: [text] });
      } catch {
        return;
      }
      expect(isHeaderValue(sent)).toBe(true);
      expect(Object.keys(parsePolicy(sent))).toHaveLength(6);
    }),
    { numRuns: 1_000 },
  );
});

function policySentWith(directives: object): string {
  let sent = "";
  const res = {
    headersSent: false,
    writeHead() {},
    setHeader(name: string, value: string) {
      if (name === "Content-Security-Policy") sent = value;
    },
    removeHeader() {},
  };
  const handler = securityHeaders({ contentSecurityPolicy: { directives } });
  handler({ secure: false } as never, res as never, () => {});
  return sent;
}
