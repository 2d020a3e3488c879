import { AsyncLocalStorage } from "node:async_hooks";
import { setTimeout as sleep } from "node:timers/promises";
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

/**
 * Before Node 24, every promise and every socket passes on each AsyncLocalStorage that was ever used, also those of test files that
 * have ended, and they keep all that these files made in memory. So those that a test file began to use end with it.
 */
const storages = new Set<AsyncLocalStorage<unknown>>();
const prototype = AsyncLocalStorage.prototype as unknown as {
  _enable?: (this: AsyncLocalStorage<unknown>) => void;
};
const enable = prototype._enable;
if (enable !== undefined)
  prototype._enable = function () {
    storages.add(this);
    enable.call(this);
  };

/** What keeps a process alive after the test file that has made it: servers, connections and child processes. */
function openResources(): string[] {
  return process.getActiveResourcesInfo().filter((name) => /^(?:TCP|TLS|Pipe|Process)/.test(name));
}

/** What a test has closed just before takes a while on a busy machine. Turns are counted, because tests replace the clock. */
const CLOSING_TURNS = 2_000;

/** Jest's environment for Node, with the faster compiler. Coverage needs Jest's own: it counts by positions in the text. */
export default class extends TestEnvironment {
  private openBefore = 0;

  constructor(...given: ConstructorParameters<typeof TestEnvironment>) {
    super(...given);
    vm.compileFunction = given[0].globalConfig.collectCoverage ? original : compileOnce;
    // TypeScript takes half a second and 100 MB to load. ts-jest has loaded it in this worker: test files use the same one.
    this.global.typescriptOfWorker = () => ts;
  }

  override async setup() {
    await super.setup();
    this.openBefore = openResources().length;
    // Jest keeps 100 calls of the stack of each error. What is tested here makes many errors, and users' programs keep 10.
    Error.stackTraceLimit = 10;
    this.global.Error.stackTraceLimit = 10;
  }

  override async teardown() {
    for (let turn = 0; turn < CLOSING_TURNS && openResources().length > this.openBefore; turn++)
      await sleep(5);
    const open = openResources();
    await super.teardown();
    for (const storage of storages) storage.disable();
    storages.clear();
    if (open.length > this.openBefore)
      throw new Error(`The test file leaves something open. Open are now: ${open.join(", ")}.`);
  }
}
