import { compress, cors, recover, requestLog } from "../../../src/index.js";
import { ConfigError } from "../../../src/lib/config/config-error.js";
import { notWhole } from "../../../src/lib/config/integers.js";
import { offload } from "../../../src/offload/index.js";

const BYTES = { min: 0, max: 2 ** 20, unit: "bytes" };

describe("a number that was given as text", () => {
  it.each([
    ["600", "600"],
    [" 1024 ", "1024"],
    ["1kb", "1024"],
    ["100 KB", "102400"],
    ["1mb", "1048576"],
    ["512b", "512"],
  ])("%j: the message says to write %s", (text, number) => {
    expect(notWhole(BYTES, text)).toBe(`must be a whole number of bytes from 0 to 1048576; write ${number}`);
  });

  it.each([
    ["2mb"],
    ["1.5kb"],
    ["1gb"],
    ["10 parsecs"],
    [""],
    [" "],
    ["-1"],
    ["0x10"],
    [null],
    [0.5],
    [[600]],
  ])("%j: there is nothing to write instead", (value) => {
    expect(notWhole(BYTES, value)).toBe("must be a whole number of bytes from 0 to 1048576");
  });

  it("units of size are for bytes only", () => {
    expect(notWhole({ min: 0, max: 5_000, unit: "seconds" }, "1kb")).not.toContain("write");
    expect(notWhole({ min: 0, max: 5_000 }, "12")).toBe("must be a whole number from 0 to 5000; write 12");
  });
});

const problem = (make: () => unknown): string => {
  try {
    make();
  } catch (error) {
    if (error instanceof ConfigError) return error.problems[0]!.reason;
    throw error;
  }
  throw new Error("it was accepted");
};

it.each<[string, () => unknown, string]>([
  ["compression's threshold", () => compress({ threshold: "1kb" as never }), "write 1024"],
  ["a maxAge out of the environment", () => cors({ maxAge: "600" as never }), "write 600"],
  ["requestLog's slowMs", () => requestLog({ slowMs: "500" as never }), "write 500"],
  ["offload's threads", () => offload(__filename, { threads: "2" as never }), "write 2"],
  [
    "morgan's stream that is null",
    () => requestLog({ stream: null as never }),
    "leave it out for standard output",
  ],
  ["one level for all records", () => requestLog({ level: "warn" as never }), 'write () => "warn"'],
  ["a level that there is not", () => requestLog({ level: "loud" as never }), "a function of the entry"],
  ["errorhandler's log", () => recover({ log: false } as never), "errorhandler's name; here it is logger"],
])("%s: the message says what to write", (_name, make, remedy) => {
  expect(problem(make)).toContain(remedy);
});
