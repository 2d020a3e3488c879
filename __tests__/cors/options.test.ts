import { ConfigError } from "../../src/config/config-error.js";
import { cors } from "../../src/cors/index.js";
import { parseOriginPattern } from "../../src/cors/origin.js";
import { regExpProblem } from "../../src/cors/regexp.js";

const A = "https://a.example";

it.each<[string, unknown, RegExp]>([
  // what is no option
  ["options", "https://a.example", /object of options/],
  ["options", null, /object of options/],
  ["options", [A], /object of options/],
  ["options", (_req: unknown, done: () => void) => done(), /origin: \(origin, req\) => boolean/],
  ["origins", { origins: [A] }, /Did you mean "origin"/],
  ["orgin", { orgin: A }, /Did you mean "origin"/],
  ["maxage", { maxage: 5 }, /Did you mean "maxAge"/],
  ["allowHeaders", { allowHeaders: "x" }, /Did you mean "allowedHeaders"/],
  ["credential", { credential: true }, /Did you mean "credentials"/],
  ["preflightContinue", { origin: A, preflightContinue: true }, /shortCircuit: "preflight"/],
  // what the cors package takes, and this does not
  ["origin", { origin: true }, /"\*" for everyone, or list/],
  ["origin", { origin: undefined }, /environment variable missing/],
  [
    "origin",
    { origin: (_o: string, callback: (e: null, ok: boolean) => void) => callback(null, true) },
    /return true or false/,
  ],
  [
    "origin",
    {
      origin: (_o: string, cb: () => void) => {
        cb();
      },
    },
    /return true or false/,
  ],
  ["origin", { origin: (_a: string, _b: unknown, _c: unknown) => true }, /return true or false/],
  [
    "origin",
    {
      origin(_o: string, callback: () => void) {
        callback();
      },
    },
    /return true or false/,
  ],
  ["origin", { origin: async (_o: string, _callback: unknown) => true }, /return true or false/],
  ["allowNull", { origin: false, allowNull: true }, /allows nobody/],
  ["origin", { origin: /example\.com$/ }, /anchored.*\/\^\(\?:/],
  ["origin", { origin: /^https:\/\/a|b$/ }, /anchored in every alternative/],
  ["origin", { origin: /^a$/g }, /flag g/],
  ["origin", { origin: /^a$/y }, /flag y/],
  ["origin[1]", { origin: [A, /example/] }, /anchored/],
  // origins
  ["origin", { origin: "" }, /begin with a scheme/],
  ["origin", { origin: [] }, /empty list; write false/],
  ["origin", { origin: 5 }, /an origin such as/],
  ["origin", { origin: null }, /an origin such as/],
  ["origin[0]", { origin: [undefined] }, /an origin such as/],
  ["origin[1]", { origin: [A, ""] }, /begin with a scheme/],
  ["origin", { origin: "null" }, /allowNull: true/],
  ["origin", { origin: "app.example" }, /"https:\/\/app\.example"/],
  ["origin", { origin: "//app.example" }, /"https:\/\/app\.example"/],
  ["origin", { origin: `${A}/` }, /without path.*"https:\/\/a\.example"/],
  ["origin", { origin: `${A}/path` }, /without path/],
  ["origin", { origin: `${A}?x` }, /without path/],
  ["origin", { origin: `${A}, https://b.example` }, /write a list/],
  ["origin", { origin: " https://a.example" }, /white space/],
  ["origin", { origin: "https://*" }, /only as the whole first label/],
  ["origin", { origin: "https://a.*.example" }, /only as the whole first label/],
  ["origin", { origin: "https://*a.example" }, /only as the whole first label/],
  ["origin", { origin: "https://a.example:443" }, /leave out the port 443/],
  ["origin", { origin: "HTTPS://a.example" }, /lower case/],
  // credentials
  ["origin", { credentials: true }, /cannot be "\*" with credentials/],
  ["origin", { origin: ["*"], credentials: true }, /list the origins/],
  ["origin", { origin: "http://a.example", credentials: true }, /allowInsecureOrigins: true/],
  ["origin[0]", { origin: ["http://10.0.0.1"], credentials: true }, /not secure/],
  ["origin", { origin: "https://*.com", credentials: true }, /everyone under \.com/],
  ["origin", { origin: "https://*.com", credentials: true, allowInsecureOrigins: true }, /everyone under/],
  ["credentials", { origin: A, credentials: "true" }, /true or false/],
  ["exposedHeaders", { origin: A, credentials: true, exposedHeaders: "*" }, /name them/],
  ["allowNull", { origin: A, credentials: true, allowNull: true }, /with credentials/],
  ["allowNull", { allowNull: 1 }, /true or false/],
  // methods and headers
  ["methods", { methods: 5 }, /list of strings/],
  ["methods", { methods: ["GET", 5] }, /list of strings/],
  ["methods", { methods: "GET,,PUT" }, /empty name/],
  ["methods", { methods: ["patch"] }, /write "PATCH"/],
  ["methods", { methods: ["TRACE"] }, /no page can send/],
  ["methods", { methods: ["connect"] }, /no page can send/],
  ["methods", { methods: ["GE T"] }, /no method/],
  ["allowedHeaders", { allowedHeaders: ["Cookie"] }, /no page can send/],
  ["allowedHeaders", { allowedHeaders: ["Sec-Fetch-Mode"] }, /no page can send/],
  ["allowedHeaders", { allowedHeaders: "Access-Control-Allow-Origin" }, /header of responses/],
  ["allowedHeaders", { allowedHeaders: ["X A"] }, /no header name/],
  ["allowedHeaders", { allowedHeaders: true }, /list of strings/],
  ["exposedHeaders", { exposedHeaders: "Set-Cookie" }, /no page can read/],
  ["exposedHeaders", { exposedHeaders: "Origin" }, /header of requests/],
  ["exposedHeaders", { exposedHeaders: ["Access-Control-Max-Age"] }, /browser itself/],
  // numbers and choices
  ["maxAge", { maxAge: -1 }, /seconds from 0 to 86400/],
  ["maxAge", { maxAge: 86_401 }, /seconds/],
  ["maxAge", { maxAge: "600" }, /seconds/],
  ["maxAge", { maxAge: 1.5 }, /seconds/],
  ["optionsSuccessStatus", { optionsSuccessStatus: 302 }, /from 200 to 299/],
  ["shortCircuit", { shortCircuit: "none" }, /"all", "preflight"/],
  ["shortCircuit", { shortCircuit: "preflights" }, /Did you mean "preflight"/],
  ["explain", { explain: "yes" }, /true or false/],
])("%s: %p is refused", (option, options, reason) => {
  const [problem] = refused(options).problems;
  expect(problem?.option).toBe(option);
  expect(problem?.reason).toMatch(reason);
});

it.each([
  [{ origin: "*", maxAge: 5 }],
  [{ origin: ["*", A] }],
  [{ origin: "http://localhost:3000", credentials: true }],
  [{ origin: "http://127.0.0.1:*", credentials: true }],
  [{ origin: "http://[::1]:3000", credentials: true }],
  [{ origin: "http://*.localhost:*", credentials: true }],
  [{ origin: "http://a.example", credentials: true, allowInsecureOrigins: true }],
  [{ origin: "https://*.a.example", credentials: true }],
  [{ origin: "https://*.com" }],
  [{ origin: "capacitor://localhost" }],
  [{ origin: "chrome-extension://abcdefghijklmnop" }],
  [{ origin: /^(?:https:\/\/a|https:\/\/b)$/ }],
  [{ origin: (origin: string) => origin === A }],
  [{ origin: async (_origin: string, req: { path: string }) => req.path === "/" }],
  [{ methods: "GET, put", allowedHeaders: "X-A,x-b", exposedHeaders: [] }],
  [{ methods: undefined, maxAge: undefined, credentials: undefined, explain: undefined }],
])("%p is fine", (options) => {
  expect(() => cors(options as never)).not.toThrow();
});

it("tells all problems at once, and copies its options", () => {
  expect(refused({ origin: ["x", "y"], methods: "patch", maxAge: -1, nope: 1 }).problems).toHaveLength(5);
});

it.each([
  ["https://a.example.", true],
  ["https://xn--bcher-kva.example", true],
  ["https://b\u00fccher.example", /Punycode.*xn--bcher-kva/],
  ["https://xn--a.example", /Punycode/],
  ["https://a..b", /empty label/],
  [`https://${"a".repeat(64)}.example`, /63/],
  [`https://${"a.".repeat(126)}ab`, /253/],
  [`https://*.${"a.".repeat(125)}ab`, /253/],
  ["https://127.0.0.1", true],
  ["https://127.1", /IPv4/],
  ["https://0x7f.1", /IPv4/],
  ["https://1.2.3.4.5", /IPv4/],
  ["https://*.127.0.0.1", /IP address/],
  ["https://[::1]:8080", true],
  ["https://[0:0:0:0:0:0:0:1]", /"\[::1\]"/],
  ["https://[::1%lo]", /IPv6/],
  ["https://[::ffff:1.2.3.4]", /IPv4 address/],
  ["https://[::ffff:102:304]", /IPv4 address/],
  ["https://*.[::1]", /IP address/],
  ["https://a.example:0", /port/],
  ["https://a.example:00443", /port/],
  ["https://a.example:65536", /port/],
  ["https://a.example:", /port/],
  ["http://a.example:80", /leave out/],
  ["https://u:p@a.example", /user name/],
  ["https://a_b.example", true],
  ["https://a b.example", /character/],
  ["https://", /no host/],
  ["file:///x", /file/],
  ["1http://a", /scheme/],
  ["https:a.example", /scheme/],
])("the origin %.40s: %p", (text, expected) => {
  const result = parseOriginPattern(text as string);
  if (expected === true) expect(result).toMatchObject({ scheme: expect.any(String) });
  else expect(result).toMatch(expected as RegExp);
});

it.each([
  [/^a$/, true],
  [/^a$|^b$/, true],
  [/^(?:a|b)$/, true],
  [/^[|]$/, true],
  [/^a\|b$/, true],
  [/^a\\$/, true],
  [/a$/, false],
  [/^a/, false],
  [/^a|b$/, false],
  [/^a\$/, false],
  [/^a$|b/, false],
  [/^a$/m, false],
  [/^a$/i, true],
])("the RegExp %s is anchored: %p", (pattern, fine) => {
  expect(regExpProblem(pattern) === undefined).toBe(fine);
});

function refused(options: unknown): ConfigError {
  try {
    cors(options as never);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error("was accepted");
}
