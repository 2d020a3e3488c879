import { ConfigError } from "../../../src/lib/config/config-error.js";
import { contract, type Expectations } from "../../../tools/contract/index.js";

const app = () => {};

function problemsOf(expectations: unknown): string[] {
  try {
    contract(app, expectations as Expectations);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ option, reason }) => `${option}: ${reason}`);
  }
  return [];
}

it.each<[string, unknown, RegExp]>([
  ["an unknown name", { rutes: {} }, /^rutes: unknown option. Did you mean "routes"\?/],
  ["an unknown route", { routes: { panic: "/panic" } }, /^routes\.panic: unknown option/],
  [
    "an unknown member",
    { routes: { slow: { path: "/slow", endMs: 5 } } },
    /^routes\.slow\.endMs: .*"endsMs"/,
  ],
  [
    "an unknown CORS member",
    { cors: { allowed: "https://a.example", credential: true } },
    /^cors\.credential: .*"credentials"/,
  ],
  ["a URL for a path", { routes: { ok: "https://a.example/hello" } }, /^routes\.ok: must be a path/],
  ["a space in a path", { routes: { ok: "/a b" } }, /^routes\.ok: must be a path/],
  ["a route that is no route", { routes: { failing: 5 } }, /^routes\.failing: must be an object/],
  [
    "a route without a path",
    { routes: { failing: { status: 500 } } },
    /^routes\.failing\.path: must be a path/,
  ],
  [
    "a status that is no error's",
    { routes: { failing: { path: "/x", status: 200 } } },
    /^routes\.failing\.status: /,
  ],
  ["an origin with a path", { cors: { allowed: "https://a.example/" } }, /^cors\.allowed: must be an origin/],
  ["no allowed origin", { cors: {} }, /^cors\.allowed: must be an origin/],
  [
    "one origin as both",
    { cors: { allowed: "https://a.example", refused: "https://a.example" } },
    /^cors\.refused: /,
  ],
  [
    "one user",
    { routes: { personal: { path: "/me", as: [{ cookie: "a" }] } } },
    /^routes\.personal\.as: .*two users/,
  ],
  [
    "a header with a line end",
    { routes: { protected: { path: "/", as: { a: "b\r\nc: d" } } } },
    /^routes\.protected\.as: /,
  ],
  [
    "a limited route without its limit",
    { routes: { limited: { path: "/x" } } },
    /^routes\.limited\.limit: is required/,
  ],
  [
    "a limit of nothing",
    { routes: { limited: { path: "/x", limit: 0 } } },
    /^routes\.limited\.limit: .* bytes/,
  ],
  [
    "a busy route without its limit",
    { routes: { busy: { path: "/x" } } },
    /^routes\.busy\.limit: is required/,
  ],
  [
    "a status that is no answer's",
    { routes: { health: { path: "/x", status: 100 } } },
    /^routes\.health\.status: .* from 200 to 599/,
  ],
  [
    "metrics from nowhere",
    { metrics: {} },
    /^metrics\.text: must be a function .*, or give path: one of them/,
  ],
  [
    "metrics from two places",
    { metrics: { path: "/metrics", text: () => "" } },
    /^metrics\.text: .*: one of them/,
  ],
  ["metrics that are a text", { metrics: { text: "up 1" } }, /^metrics\.text: must be a function/],
  ["a log without lines", { log: {} }, /^log\.lines: must be a function/],
  ["no patience", { timeoutMs: 0 }, /^timeoutMs: must be a whole number of milliseconds from 1/],
  ["headers that are no headers", { securityHeaders: { csp: 5 } }, /^securityHeaders: must be true, a list/],
])("%s is refused", (_name, expectations, problem) => {
  expect(problemsOf(expectations)).toEqual([expect.stringMatching(problem)]);
});

it("all problems are reported at once", () => {
  expect(problemsOf({ routes: { ok: "hello", slow: {} }, timeoutMs: "1 s", cors: 5 })).toHaveLength(4);
});

it("what may be a credential is not printed", () => {
  const given = { routes: { personal: { path: "/me", as: [{ cookie: "s3cret\n" }, {}] } } };
  expect(() => contract(app, given as unknown as Expectations)).toThrow(/two users' headers/);
  expect(() => contract(app, given as unknown as Expectations)).not.toThrow(/s3cret/);
});

it.each([
  ["an address without its scheme", "localhost:8080"],
  ["ftp", "ftp://a.example"],
  ["nothing", undefined],
])("%s is no app", (_name, target) => {
  expect(() => contract(target as string)).toThrow(/must be an Express app, or the URL of one that listens/);
});

it("an expectation that is undefined is one that is not there", () => {
  const all = {
    cors: undefined,
    routes: { ok: undefined, failing: undefined },
    log: undefined,
    ca: undefined,
  };
  expect(contract(app, all).map(({ name }) => name)).toEqual(contract(app).map(({ name }) => name));
});
