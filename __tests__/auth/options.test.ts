import { apiKey, authenticate, authorize, basic, bearer, requireScopes } from "../../src/auth/index.js";
import { ConfigError } from "../../src/lib/config/config-error.js";

const verify = () => true;
const scheme = bearer({ verify });

it.each<[string, () => unknown, RegExp]>([
  ["options", () => bearer(verify as never), /object of options/],
  ["verify", () => bearer({} as never), /is missing: a function \(token, req\)/],
  ["verify", () => (bearer as () => unknown)(), /is missing/],
  ["verify", () => bearer({ verify: undefined } as never), /environment variable/],
  ["verify", () => bearer({ verify: "s3cret" } as never), /must be a function/],
  ["verfy", () => bearer({ verify, verfy: 1 } as never), /Did you mean "verify"/],
  ["realm", () => bearer({ verify, realm: 5 } as never), /must be a string/],
  ["realm", () => bearer({ verify, realm: "a\r\nb" }), /printable ASCII/],
  ["realm", () => bearer({ verify, realm: "b\u00fcro" }), /printable ASCII/],
  ["verify", () => basic({}), /give verify or users/],
  ["verify", () => basic({ verify, users: { a: "s3cret" } }), /cannot be combined with users/],
  ["users", () => basic({ users: undefined }), /environment variable/],
  ["users", () => basic({ users: [] as never }), /passwords by user name/],
  ["users", () => basic({ users: "ann:s3cret" as never }), /passwords by user name/],
  ["users", () => basic({ users: {} }), /every request would be refused/],
  ["users", () => basic({ users: { "a:b": "s3cret" } }), /colon/],
  ["users.ann", () => basic({ users: { ann: undefined } }), /environment variable/],
  ["users.ann", () => basic({ users: { ann: "" } }), /not empty/],
  ["users.ann", () => basic({ users: { ann: 5 as never } }), /a string/],
  ["users.ann", () => basic({ users: { ann: "s3cret\n" } }), /line break at its end/],
  ["user", () => basic({ verify, user: {} } as never), /Did you mean "users"/],
  ["verify", () => apiKey({}), /give verify or keys/],
  ["verify", () => apiKey({ verify, keys: ["s3cret"] }), /cannot be combined/],
  ["keys", () => apiKey({ keys: undefined }), /environment variable/],
  ["keys", () => apiKey({ keys: "s3cret" as never }), /list of keys/],
  ["keys", () => apiKey({ keys: [] }), /every request would be refused/],
  ["keys", () => apiKey({ keys: {} }), /every request would be refused/],
  ["keys[1]", () => apiKey({ keys: ["s3cret", undefined] }), /environment variable/],
  ["keys[0]", () => apiKey({ keys: [5 as never] }), /must be a string/],
  ["keys[0]", () => apiKey({ keys: [""] }), /white space/],
  ["keys[0]", () => apiKey({ keys: ["s3cret\n"] }), /white space/],
  ["keys[0]", () => apiKey({ keys: { s3cret: "ann" as never } }), /an object as its principal/],
  ["keys[0]", () => apiKey({ keys: new Array(2).fill("s3cret", 1) as string[] }), /environment variable/],
  ["options", () => apiKey("s3cret" as never), /object of options/],
  ["options", () => basic(["s3cret"] as never), /object of options/],
  ["header", () => apiKey({ verify, header: "Set-Cookie" }), /header of its own/],
  ["header", () => apiKey({ verify, header: "X Key" }), /header name/],
  ["header", () => apiKey({ verify, header: "Authorization" }), /use bearer\(\) or basic\(\)/],
  ["header", () => apiKey({ verify, header: 5 as never }), /must be a string/],
  ["schemes", () => authenticate(undefined as never), /apiKey\(\) or jwt\(\)/],
  ["schemes", () => authenticate({ verify } as never), /apiKey\(\) or jwt\(\)/],
  ["schemes", () => authenticate(bearer as never), /apiKey\(\) or jwt\(\)/],
  ["schemes", () => authenticate([]), /is empty/],
  ["schemes[1]", () => authenticate([scheme, "basic" as never]), /apiKey\(\) or jwt\(\)/],
  ["schemes[1]", () => authenticate([scheme, bearer({ verify })]), /would never be tried/],
  ["options", () => authenticate(scheme, true as never), /object of options/],
  ["optionl", () => authenticate(scheme, { optionl: true } as never), /Did you mean "optional"/],
  ["optional", () => authenticate(scheme, { optional: "yes" as never }), /true or false/],
  ["preflight", () => authenticate(scheme, { preflight: true as never }), /"pass"/],
  ["predicate", () => authorize(undefined as never), /function of the request/],
  ["predicate", () => authorize(true as never), /function of the request/],
  ["preflight", () => authorize(() => true, { preflight: "end" as never }), /"pass"/],
  ["names", () => requireScopes(), /at least one/],
  ["names", () => requireScopes("a b"), /without spaces/],
  ["names", () => requireScopes('a"'), /quotes/],
])("%s is refused (%#)", (option, make, reason) => {
  const error = refused(make);
  expect(error.problems[0]?.option).toBe(option);
  expect(error.problems[0]?.reason).toMatch(reason);
  expect(`${error.stack} ${JSON.stringify(error)}`.split("\n    at ")[0]).not.toContain("s3cret");
});

it("copies its options", () => {
  const keys = ["k"];
  const made = apiKey({ keys });
  keys.push("later");
  const headers = { "x-api-key": "later" };
  expect(made.check({ headers, rawHeaders: Object.entries(headers).flat() } as never)).toEqual({
    kind: "failed",
    status: 401,
    reason: "rejected",
  });
});

function refused(make: () => unknown): ConfigError {
  try {
    make();
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error("was accepted");
}
