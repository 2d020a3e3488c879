// Few files instead of many: Node takes longer to find and read eighty small modules than to run them. What the entry
// points have in common is in chunks of its own, so that a subpath loads nothing of the other concerns.
import { readdirSync } from "node:fs";
import ts from "typescript";

const SHARED = ["http", "config"];
/** The forms of an answer need a package of their own, which most of the concerns do without. */
const PROBLEMS = /\/http\/(?:accept|problem|answer-problem)\.js$/;

const concerns = readdirSync("dist/modules", { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && !SHARED.includes(entry.name))
  .map(({ name }) => [`${name}/index`, `dist/modules/${name}/index.js`]);

export default {
  input: { index: "dist/modules/index.js", cli: "dist/modules/cli.js", ...Object.fromEntries(concerns) },
  external: (id) => !/^[./]/.test(id),
  plugins: [{ name: "strip-comments", renderChunk: withoutComments }],
  output: {
    dir: "dist/cjs",
    format: "cjs",
    interop: "auto",
    hoistTransitiveImports: false,
    entryFileNames: "[name].js",
    chunkFileNames: "shared/[name].js",
    manualChunks: (id) => {
      if (PROBLEMS.test(id)) return "problems";
      if (SHARED.some((folder) => id.includes(`/dist/modules/${folder}/`))) return "ground";
      if (/\/context\/(?:context|trace|scope|tasks)\.js$/.test(id)) return "ground";
    },
  },
};

/** Those of the types are what people read. Names stay as they are: a printed stack has those of the handlers. */
function withoutComments(code) {
  const compilerOptions = {
    removeComments: true,
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.ESNext,
  };
  return ts.transpileModule(code, { compilerOptions }).outputText;
}
