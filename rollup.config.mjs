// Few files instead of many, because Node takes longer to find and read eighty small modules than to run them. What entry points
// share is in separate chunks, so that a subpath loads none of the other middleware. The same chunks are made in two formats:
// scripts/build.mjs says which one is used where.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import dts from "rollup-plugin-dts"; // one declaration file for each entry point
import ts from "typescript";

/** The folder that all middleware share. It has no entry point. */
const SHARED = "lib";
/** Problem responses need the package negotiator, which most of the middleware do not load. */
const PROBLEMS = /\/lib\/(?:http\/problem|response\/send-problem)\.js$/;

const middleware = readdirSync("dist/modules/src", { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && entry.name !== SHARED)
  .map(({ name }) => [name, `src/${name}`]);

/** Public subpaths and their source folders. */
const FOLDERS = [...middleware, ["pipeline", "tools/check"], ["testing", "tools/contract"]];

const inputs = (extension) => ({
  index: `dist/modules/src/index${extension}`,
  ...Object.fromEntries(
    FOLDERS.map(([name, folder]) => [`${name}/index`, `dist/modules/${folder}/index${extension}`]),
  ),
});

const isPackage = (id) => !/^[./]/.test(id);

/** CommonJS files stay files beside the chunks, because they are loaded late or run by worker threads. */
const commonJsFiles = (dir) => ({
  name: "commonjs-files",
  resolveId(source, importer) {
    if (!source.endsWith(".cjs") || importer === undefined) return null;
    const [, path] = /\/dist\/modules\/src\/(.+)$/.exec(join(importer, "..", source));
    return { id: join(process.cwd(), dir, path), external: true };
  },
});

/** Comments are only kept in the declarations. Names are not shortened: a printed stack shows those of the handlers. */
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
