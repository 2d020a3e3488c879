import ts from "typescript";
import { blocks } from "./markdown.js";
import { REFUSING } from "./server.js";

const AsyncFunction = (async () => {}).constructor as FunctionConstructor;

/** Runs an example of a page as a CommonJS module with top-level `await`, and returns its `app`, if it has one. */
export async function runSnippet(code: string): Promise<unknown> {
  const exposed = `${code}\nexports.app = typeof app === "undefined" ? undefined : app;`;
  const { outputText } = ts.transpileModule(exposed, {
    compilerOptions: {
      module: ts.ModuleKind.CommonJS,
      target: ts.ScriptTarget.ES2023,
      esModuleInterop: true,
    },
  });
  const module = { exports: {} as { app?: unknown } };
  await new AsyncFunction("require", "module", "exports", outputText)(load, module, module.exports);
  return module.exports.app;
}

/** The examples of a section (`## multer`), or those before the first section. */
export function snippetsOf(page: string, heading?: string): string[] {
  return blocks(page)
    .filter((block) => block.info === "ts" && block.heading === heading)
    .map(({ code }) => code);
}

function load(name: string): unknown {
  if (name === "redis") return withoutServer(require(name));
  const own = /^express-portico(?:\/(.+))?$/.exec(name);
  if (own === null) return require(name);
  return require(`../../${folderOf(own[1])}/index`);
}

/** An example reaches no Redis of this machine, and does not try again for ever. */
function withoutServer(redis: typeof import("redis")): object {
  const nowhere = { url: REFUSING.replace("http", "redis"), socket: { reconnectStrategy: false } } as const;
  return {
    ...redis,
    createClient: (options: object) => redis.createClient({ ...options, ...nowhere }),
  };
}

const TOOLS: Record<string, string> = {
  inspector: "tools/inspector",
  pipeline: "tools/check",
  testing: "tools/contract",
};

function folderOf(subpath: string | undefined): string {
  return subpath === undefined ? "src" : (TOOLS[subpath] ?? `src/${subpath}`);
}
