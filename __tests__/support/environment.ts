import vm from "node:vm";
import { TestEnvironment } from "jest-environment-node";
import ts from "typescript";

const original = vm.compileFunction;
const compiled = new Map<string, { readonly source: string; readonly script: vm.Script | undefined }>();

/**
 * Every test file runs its own copy of Express, of the test libraries and of `src`. Jest compiles them again for each test
 * file, which takes a fifth of the time of `npm test`. Here a worker keeps what it has compiled, and runs the same code in
 * each test file's context; the contexts share nothing else. Not kept are test files, which run once, and files with an
 * `import()`, which Jest must resolve.
 */
function compileOnce(...[source, parameters, options]: Parameters<typeof vm.compileFunction>) {
  const { filename = "", parsingContext } = options ?? {};
  let kept = compiled.get(filename);
  if (kept?.source !== source) {
    kept = { source, script: scriptOf(source, parameters ?? [], filename) };
    compiled.set(filename, kept);
  }
  if (parsingContext === undefined || kept.script === undefined) return original(source, parameters, options);
  return kept.script.runInContext(parsingContext);
}

function scriptOf(source: string, parameters: readonly string[], filename: string): vm.Script | undefined {
  if (filename.endsWith(".test.ts") || /\bimport\s*\(/.test(source)) return undefined;
  const head = `(function (${parameters.join(", ")}) {`;
  return new vm.Script(`${head}${source}\n})`, { filename, columnOffset: -head.length });
}

/** Jest's environment for Node, with the faster compiler. Coverage needs Jest's own: it counts by positions in the text. */
export default class extends TestEnvironment {
  constructor(...given: ConstructorParameters<typeof TestEnvironment>) {
    super(...given);
    vm.compileFunction = given[0].globalConfig.collectCoverage ? original : compileOnce;
    // TypeScript takes half a second and 100 MB to load. ts-jest has loaded it in this worker: test files use the same one.
    this.global.typescriptOfWorker = () => ts;
  }
}
