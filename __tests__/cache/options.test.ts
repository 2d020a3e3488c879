import { type CacheOptions, cache, memoryStore } from "../../src/cache/index.js";
import { ConfigError } from "../../src/lib/config/config-error.js";

function refused(options: unknown): ConfigError {
  try {
    cache(options as CacheOptions);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error("it was accepted");
}

it.each<[string, unknown, RegExp]>([
  ["options", null, /object of options/],
  ["options", "1 hour", /object of options/],
  ["options", 60, /object of options/],
  ["ttl", { ttl: 60 }, /options are store, name/],
  ["stores", { stores: 1 }, /Did you mean "store"/],
  ["cookie", { cookie: true }, /Did you mean "cookies"/],
  ["store", { store: null }, /memoryStore/],
  ["store", { store: "redis" }, /memoryStore/],
  ["store", { store: new Map() }, /must be a store|has no/],
  ["store", { store: { get() {}, put() {} } }, /has no purge, stats/],
  ["name", { name: "" }, /token/],
  ["name", { name: "my cache" }, /token/],
  ["name", { name: 7 }, /string/],
  ["key", { key: "path" }, /function/],
  ["hosts", { hosts: undefined }, /environment variable/],
  ["hosts", { hosts: [] }, /empty/],
  ["hosts", { hosts: ["https://a.example"] }, /without scheme/],
  ["hosts", { hosts: ["a.example:443"] }, /without scheme/],
  ["hosts", { hosts: ["a.example/x"] }, /without scheme/],
  ["hosts", { hosts: [7] }, /strings/],
  ["cookies", { cookies: "yes" }, /true or false/],
  ["requestDirectives", { requestDirectives: 0 }, /true or false/],
])("%s: %p is refused", (option, options, reason) => {
  const [problem] = refused(options).problems;
  expect(problem?.option).toBe(option);
  expect(problem?.reason).toMatch(reason);
});

it("names all problems at once", () => {
  const { problems } = refused({ store: 1, name: " ", hosts: [], cookies: 1, nope: 1 });
  expect(problems.map(({ option }) => option).sort()).toEqual(["cookies", "hosts", "name", "nope", "store"]);
});

it.each<[CacheOptions | undefined]>([
  [undefined],
  [{}],
  [{ store: undefined, name: undefined, key: undefined, cookies: undefined, requestDirectives: undefined }],
  [
    {
      store: memoryStore({ maxBytes: 1_000_000 }),
      name: "edge",
      hosts: ["a.example", "[::1]"],
      cookies: true,
    },
  ],
  [{ hosts: "a.example, b.example" as never }],
])("%p is accepted", (options) => {
  const handler = cache(options);
  expect(handler.name).toBe("cache");
  expect(typeof handler.purge).toBe("function");
});

it("cache() copies its options", async () => {
  const hosts = ["a.example"];
  const options = { hosts };
  cache(options);
  hosts.push("not a host");
  expect(options.hosts).toHaveLength(2);
});
