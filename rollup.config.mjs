// Few files instead of many: Node takes longer to find and read eighty small modules than to run them. What the entry
// points have in common is in chunks of its own, so that a subpath loads nothing of the other middleware.
// The same chunks in two formats: scripts/build.mjs says who gets which.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import dts from "rollup-plugin-dts"; // one declaration file an entry point, instead of one a source file
import ts from "typescript";

/** The folder that all middleware share; it has no entry point. */
const SHARED = "lib";
/** The forms of an answer need a package of their own, which most of the middleware do without. */
const PROBLEMS = /\/lib\/(?:http\/problem|response\/send-problem)\.js$/;

const middleware = readdirSync("dist/modules/src", { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && entry.name !== SHARED)
  .map(({ name }) => [name, `src/${name}`]);

/** Public subpaths, and the folders of what they export. */
const FOLDERS = [...middleware, ["pipeline", "tools/check"], ["testing", "tools/contract"]];

const inputs = (extension) => ({
  index: `dist/modules/src/index${extension}`,
  ...Object.fromEntries(
    FOLDERS.map(([name, folder]) => [`${name}/index`, `dist/modules/${folder}/index${extension}`]),
  ),
});

const isPackage = (id) => !/^[./]/.test(id);

/** Files of CommonJS stay files, beside the chunks of each format: they load late, or are run by worker threads. */
const commonJsFiles = (dir) => ({
  name: "commonjs-files",
  resolveId(source, importer) {
    if (!source.endsWith(".cjs") || importer === undefined) return null;
    const [, path] = /\/dist\/modules\/src\/(.+)$/.exec(join(importer, "..", source));
    return { id: join(process.cwd(), dir, path), external: true };
  },
});

/** Comments are for the declarations, which people read. Names stay: a printed stack has those of the handlers. */
const withoutComments = {
  name: "strip-comments",
  renderChunk(code) {
    const compilerOptions = {
      removeComments: true,
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.ESNext,
    };
    return ts.transpileModule(code, { compilerOptions }).outputText;
  },
};

const code = (format, input) => ({
  input,
  external: isPackage,
  plugins: [commonJsFiles(`dist/${format}`), withoutComments],
  output: {
    dir: `dist/${format}`,
    format,
    interop: "auto",
    hoistTransitiveImports: false,
    entryFileNames: "[name].js",
    chunkFileNames: "shared/[name].js",
    manualChunks: (id) => {
      if (PROBLEMS.test(id)) return "problems";
      if (id.includes(`/dist/modules/src/${SHARED}/`)) return "lib";
      if (/\/context\/(?:context|trace|scope|tasks)\.js$/.test(id)) return "lib";
    },
  },
});

export default [
  code("esm", inputs(".js")),
  code("cjs", { ...inputs(".js"), cli: "dist/modules/tools/cli.js" }),
  {
    input: inputs(".d.ts"),
    external: isPackage,
    plugins: [dts()],
    output: { dir: "dist/esm", entryFileNames: "[name].d.ts", chunkFileNames: "shared/[name].ts" },
  },
];
