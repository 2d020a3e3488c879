import { pathToFileURL } from "node:url";
import { offload } from "../../src/offload/index.js";
import { fixture, reasonOf, worker } from "./support.js";

const run = worker({ threads: 1 });

it.each([
  ["a path", fixture("fibonacci.mjs")],
  ["a file: URL", pathToFileURL(fixture("fibonacci.mjs"))],
  ["a file: URL as a string", pathToFileURL(fixture("fibonacci.mjs")).href],
  [
    "a data: URL",
    `data:text/javascript,${encodeURIComponent("export default function f(n) { return n < 2 ? n : f(n - 1) + f(n - 2) }")}`,
  ],
])("%s is a module", async (_what, file) => {
  const fibonacci = offload<number, number>(file, { threads: 1 });
  expect(await fibonacci(20)).toBe(6_765);
});

it("a file that a compiler made from an ES module works", async () => {
  expect(await offload(fixture("transpiled.cjs"), { threads: 1 })(1)).toEqual(["transpiled", 1]);
});

it.each([
  ["nothing", undefined],
  ["null", null],
  ["a number", 0],
  ["a Map", new Map([["a", [1, 2n]]])],
  ["bytes", new Uint8Array([1, 2, 3])],
  ["a date", new Date(0)],
])("%s goes there and back", async (_what, value) => {
  expect(await run({ do: "echo", value })).toEqual(value);
  expect(await run({ do: "later", value })).toEqual(value);
});

it("a Buffer comes as bytes", async () => {
  const result = (await run({ do: "echo", value: Buffer.from("héllo") })) as Uint8Array;
  expect(Buffer.from(result).toString()).toBe("héllo");
});

it("the input is copied when the call is made", async () => {
  const order = { do: "echo", value: ["before"] };
  const promise = run(order);
  order.value[0] = "after";
  expect(await promise).toEqual(["before"]);
});

describe("what the task throws", () => {
  it("is an Error here, with message, name, stack, code and cause", async () => {
    const error = await reasonOf(run({ do: "named" }));
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ name: "PdfError", message: "page 3 is torn", code: "E_PDF" });
    expect(error.stack).toContain("work.cjs");
    expect(error.cause).toMatchObject({ name: "RangeError", message: "no such font" });
    expect(Object.keys(error)).toEqual(["code"]);
  });

  it("keeps a built-in name", async () => {
    expect(await reasonOf(run({ do: "typed" }))).toMatchObject({
      name: "TypeError",
      message: "a number is needed",
    });
  });

  it.each([
    ["a string", "text", /not an Error was thrown: string text/],
    ["nothing", undefined, /not an Error was thrown: undefined/],
    ["null", null, /not an Error/],
    ["a plain object", { message: "plain" }, /^plain$/],
  ])("%s becomes an Error", async (_what, value, message) => {
    const error = await reasonOf(run({ do: "throws", value }));
    expect(error).toBeInstanceOf(Error);
    expect(error.message).toMatch(message);
  });

  it("may be hostile", async () => {
    expect(await reasonOf(run({ do: "hostile" }))).toBeInstanceOf(Error);
  });

  it.each([
    [{ do: "withStatus", status: 422, expose: true }, 422, true],
    [{ do: "withStatus", status: 404 }, 404, false],
    [{ do: "withStatus", status: 200 }, undefined, undefined],
    [{ do: "withStatus", status: "404" }, undefined, undefined],
    [{ do: "withStatus" }, undefined, undefined],
    [{ do: "inheritedStatus" }, undefined, undefined],
    [{ do: "httpClient" }, undefined, undefined],
  ])("%j: the status is %p", async (order, status, expose) => {
    const error = await reasonOf(run(order));
    expect([error.status, error.expose]).toEqual([status, expose]);
  });
});

describe("what cannot be copied", () => {
  it.each([
    ["a function", () => {}],
    ["a request", { socket: { on() {} } }],
    ["a symbol", Symbol("s")],
  ])("%s as input is refused with a hint", async (_what, value) => {
    expect(await reasonOf(run({ do: "echo", value }))).toMatchObject({
      name: "DataCloneError",
      code: "ERR_OFFLOAD_INPUT",
      message: expect.stringMatching(/the input cannot be copied.*could not be cloned.*plain data/),
    });
  });

  it.each(["lambda", "lambdaWithin"])("as a result (%s) fails the task, and not its thread", async (name) => {
    const thread = await run({ do: "thread" });
    expect(await reasonOf(run({ do: name }))).toMatchObject({
      name: "DataCloneError",
      code: "ERR_OFFLOAD_RESULT",
      message: expect.stringMatching(/the result of .*work\.cjs cannot be copied.*plain data/),
    });
    expect(await run({ do: "thread" })).toBe(thread);
  });
});

it.each([
  [fixture("no-default.mjs"), /no-default\.mjs has no default export that is a function/],
  [fixture("no-function.mjs"), /no-function\.mjs has no default export that is a function/],
  [fixture("fails-to-load.mjs"), /cannot be loaded: it fails while it loads/],
  ["data:text/javascript,export default (", /cannot be loaded: Unexpected end of input/],
])("%s fails each call", async (file, message) => {
  const broken = offload(file, { threads: 1 });
  for (let call = 0; call < 2; call++) {
    const error = await reasonOf(broken(1));
    expect(error.message).toMatch(message);
    expect(error).toMatchObject({ code: "ERR_OFFLOAD_MODULE" });
    expect(error.status).toBeUndefined();
  }
});
