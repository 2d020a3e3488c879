import { availableParallelism } from "node:os";
import { pathToFileURL } from "node:url";
import { ConfigError } from "../../src/lib/config/config-error.js";
import { offload } from "../../src/offload/index.js";
import { checkOptions } from "../../src/offload/options.js";
import { fixture } from "./support.js";

const file = fixture("fibonacci.mjs");

it.each<[string, unknown, unknown, RegExp]>([
  ["file", undefined, {}, /file: URL or an absolute path/],
  ["file", null, {}, /file: URL or an absolute path/],
  ["file", "", {}, /file: URL or an absolute path/],
  ["file", 5, {}, /file: URL or an absolute path/],
  ["file", () => {}, {}, /file: URL or an absolute path/],
  ["file", "./render.js", {}, /file: URL or an absolute path/],
  ["file", "render.js", {}, /file: URL or an absolute path/],
  ["file", "https://example.com/render.js", {}, /file: URL or an absolute path/],
  ["file", new URL("https://example.com/render.js"), {}, /file: URL or an absolute path/],
  ["file", "file:///a%2Fb.js", {}, /file: URL or an absolute path/],
  ["file", "file:", {}, /is not a file/],
  ["file", fixture("nowhere.mjs"), {}, /there is no file .*nowhere\.mjs/],
  ["file", pathToFileURL(fixture("nowhere.mjs")), {}, /there is no file .*nowhere\.mjs/],
  ["file", fixture(""), {}, /is not a file/],
  ["file", "data:text/plain,hello", {}, /must begin with data:text\/javascript,/],
  ["options", file, 4, /must be an object/],
  ["options", file, null, /must be an object/],
  ["thread", file, { thread: 1 }, /Did you mean "threads"/],
  ["timeout", file, { timeout: 1 }, /Did you mean "timeoutMs"/],
  ["size", file, { size: 1 }, /options are threads, maxQueue, timeoutMs/],
  ["threads", file, { threads: 0 }, /whole number from 1 to 1024/],
  ["threads", file, { threads: 1_025 }, /whole number from 1 to 1024/],
  ["threads", file, { threads: 1.5 }, /whole number from 1 to 1024/],
  ["threads", file, { threads: "2" }, /whole number from 1 to 1024/],
  ["threads", file, { threads: null }, /whole number from 1 to 1024/],
  ["maxQueue", file, { maxQueue: -1 }, /whole number from 0 to 1000000/],
  ["maxQueue", file, { maxQueue: Number.POSITIVE_INFINITY }, /whole number from 0 to 1000000/],
  ["maxQueue", file, { maxQueue: "auto" }, /whole number from 0 to 1000000/],
  ["timeoutMs", file, { timeoutMs: 0 }, /milliseconds from 1 to 86400000/],
  ["timeoutMs", file, { timeoutMs: Number.NaN }, /milliseconds from 1 to 86400000/],
  ["timeoutMs", file, { timeoutMs: "1s" }, /milliseconds from 1 to 86400000/],
])("%s: offload(%p, %p) is refused", (option, given, options, reason) => {
  const [problem, ...others] = refused(given, options).problems;
  expect(others).toEqual([]);
  expect(problem?.option).toBe(option);
  expect(problem?.reason).toMatch(reason);
});

it("names all problems at once", () => {
  const error = refused(fixture("nowhere.mjs"), { threads: 0, maxQueue: -1, timeoutMs: -1, more: 1 });
  expect(error.problems.map(({ option }) => option).sort()).toEqual([
    "file",
    "maxQueue",
    "more",
    "threads",
    "timeoutMs",
  ]);
  expect(error.message).toMatch(/5 problems with the options of offload\(\)/);
});

it.each([
  [undefined],
  [{}],
  [Object.create(null)],
  [{ threads: undefined, maxQueue: undefined, timeoutMs: undefined }],
])("%p means the defaults", (options) => {
  const threads = Math.max(1, availableParallelism() - 1);
  expect(checkOptions(file, options as never)).toMatchObject({
    file,
    threads,
    maxQueue: 100 * threads,
    timeoutMs: 30_000,
  });
});

it("takes a path with characters that a URL must encode", () => {
  const href = "file:///tmp/a%20%23b.mjs";
  expect(() => offload(href)).toThrow(/there is no file \/tmp\/a #b\.mjs/);
});

it("copies its options", () => {
  const options = { threads: 1 };
  const plan = checkOptions(file, options);
  options.threads = 5;
  expect(plan.threads).toBe(1);
});

it("has a name", () => {
  expect(offload(file).name).toBe("offloaded");
});

function refused(given: unknown, options: unknown): ConfigError {
  try {
    offload(given as never, options as never);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return error as ConfigError;
  }
  throw new Error("was not refused");
}
