import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { blocks, pages, root } from "../support/markdown.js";
import { diagnosticsOf, hostWith } from "../support/typescript.js";

const TYPES = readFileSync(join(__dirname, "../chain/types.ts"), "utf8");
const EXPECTATION = /^\s*\/\/ @ts-expect-error.*$/;
/** Without its expectations, so that each wrong statement is reported. */
const BARE_TYPES = TYPES.split("\n")
  .map((line) => (EXPECTATION.test(line) ? "//" : line))
  .join("\n");

const chainFile = (name: string) => join(__dirname, "../chain", `${name}.ts`);

const examples = pages()
  .flatMap(blocks)
  .filter(({ info }) => info === "ts")
  .map(({ place, code }, i) => ({
    place,
    file: join(root, `__snippet_${i}.ts`),
    text: `${code}\nexport {};\n`,
  }));
const isBeside = ({ place }: { place: string }) => place.startsWith("docs/beside.md:");

/** One program of many files: all that the compiler reads for one of them, such as Express's types, serves the others too. */
function checked(files: ReadonlyMap<string, string>): ts.Program {
  const { config } = ts.readConfigFile(join(root, "tsconfig.json"), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent({ ...config, include: [], files: [] }, ts.sys, root);
  const lenient = { ...options, noUnusedLocals: false, types: ["node"] };
  return ts.createProgram([...files.keys()], lenient, hostWith(lenient, files));
}

/** What is wrong in a file, with its line from 0. */
function faultsIn(program: ts.Program, file: string): { line: number; text: string }[] {
  const source = program.getSourceFile(file)!;
  return diagnosticsOf(program, file).map(({ start, messageText }) => ({
    line: source.getLineAndCharacterOfPosition(start ?? 0).line,
    text: ts.flattenDiagnosticMessageText(messageText, " "),
  }));
}

const textsOf = (some: typeof examples) => some.map(({ file, text }): [string, string] => [file, text]);

// @types/passport declares `user` on every request: what does without it is in a program of its own.
const sources: [name: string, files: ReadonlyMap<string, string>][] = [
  [
    "without other packages",
    new Map([
      ...textsOf(examples.filter((one) => !isBeside(one))),
      [chainFile("types"), TYPES],
      [chainFile("bare-types"), BARE_TYPES],
    ]),
  ],
  [
    "with other packages",
    new Map([
      ...textsOf(examples.filter(isBeside)),
      [chainFile("beside-passport"), `import "passport"; ${TYPES}`],
    ]),
  ],
];
const programs = new Map(sources.map(([name, files]) => [name, checked(files)]));

it.each([...programs])("the examples type-check as a user's code does: %s", (name, program) => {
  expect([...program.getOptionsDiagnostics(), ...program.getGlobalDiagnostics()]).toEqual([]);
  const faults = examples
    .filter((one) => isBeside(one) === (name === "with other packages"))
    .flatMap(({ place, file }) =>
      faultsIn(program, file).map(({ line, text }) => `${place} (+${line + 1}): ${text}`),
    );
  expect(faults).toEqual([]);
});

it("of a chain's types what must compile does, and nothing else", () => {
  expect(faultsIn(programs.get("without other packages")!, chainFile("types"))).toEqual([]);
});

it("a chain's types are the same beside @types/passport, which declares `user` on every request", () => {
  expect(faultsIn(programs.get("with other packages")!, chainFile("beside-passport"))).toEqual([]);
});

it("each of the wrong statements with a chain's types is one by itself", () => {
  const wrong = TYPES.split("\n").flatMap((line, i) => (EXPECTATION.test(line) ? [i] : []));
  const faulty = new Set(
    faultsIn(programs.get("without other packages")!, chainFile("bare-types")).map(({ line }) => line),
  );
  expect(wrong.length).toBeGreaterThan(20);
  expect([...faulty].sort((a, b) => a - b)).toEqual(wrong.map((line) => line + 1));
});
