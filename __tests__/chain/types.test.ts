import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { root } from "../support/markdown.js";
import { diagnosticsOf, hostWith } from "../support/typescript.js";

const FILE = join(__dirname, "types.ts");
const EXPECTATION = /^\s*\/\/ @ts-expect-error.*$/;

/** The lines of types.ts that do not compile, when it has the given text. */
function faultyLines(text: string): number[] {
  const { config } = ts.readConfigFile(join(root, "tsconfig.json"), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent({ ...config, include: [], files: [] }, ts.sys, root);
  const program = ts.createProgram([FILE], options, hostWith(options, new Map([[FILE, text]])));
  const source = program.getSourceFile(FILE)!;
  const faults = diagnosticsOf(program, FILE);
  return faults.map(({ start }) => source.getLineAndCharacterOfPosition(start ?? 0).line);
}

const text = readFileSync(FILE, "utf8");

it("what must compile does, and nothing else", () => {
  expect(faultyLines(text)).toEqual([]);
}, 60_000);

it("the same beside @types/passport, which declares `user` on every request", () => {
  expect(faultyLines(`import "passport"; ${text}`)).toEqual([]);
}, 60_000);

it("each of the wrong statements is one by itself", () => {
  const lines = text.split("\n");
  const wrong = lines.flatMap((line, i) => (EXPECTATION.test(line) ? [i] : []));
  const faulty = new Set(faultyLines(lines.map((line) => (EXPECTATION.test(line) ? "//" : line)).join("\n")));
  expect(wrong.length).toBeGreaterThan(20);
  expect([...faulty].sort((a, b) => a - b)).toEqual(wrong.map((line) => line + 1));
}, 60_000);
