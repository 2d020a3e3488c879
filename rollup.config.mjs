// Few files instead of many, because Node takes longer to find and read eighty small modules than to run them. What entry points
// share is in separate chunks, so that a subpath loads none of the other middleware. The same chunks are made in two formats:
// scripts/build.mjs says which one is used where.
import { readdirSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { parse } from "@babel/parser";
import MagicString from "magic-string";
import dts from "rollup-plugin-dts"; // one declaration file for each entry point

/** The folder that all middleware share. It has no entry point. */
const SHARED = "lib";
/** Problem responses need the package negotiator, which most of the middleware do not load. */
const PROBLEMS = /\/lib\/(?:http\/problem|response\/(?:send-problem|replace)|request\/fail-body)\.js$/;
/** Only the inspector watches layers and responses, and it shares the redaction with requestLog. */
const WATCHING =
  /\/lib\/(?:express\/(?:watch-layers|layer-info)|response\/watch-writes|values\/when-read)\.js$/;
const REDACTION = /\/lib\/log\/redact\.js$/;
/** What is written as origins and hosts is only read by cors, csrf and allowedHosts. */
const ORIGINS = /\/lib\/http\/origin\.js$/;
/** Only `health` and `serve` with checks run these. */
const CHECKS = /\/lib\/health\//;

const middleware = readdirSync("dist/modules/src", { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && entry.name !== SHARED)
  .map(({ name }) => [name, `src/${name}`]);

/** Public subpaths and their source folders. */
const FOLDERS = [
  ...middleware,
  ["inspector", "tools/inspector"],
  ["pipeline", "tools/check"],
  ["testing", "tools/contract"],
];

const inputs = (extension) => ({
  index: `dist/modules/src/index${extension}`,
  ...Object.fromEntries(
    FOLDERS.map(([name, folder]) => [`${name}/index`, `dist/modules/${folder}/index${extension}`]),
  ),
});

/**
 * In dist/cjs, these modules are loaded when one of their functions is first called: an app pays for the middleware that it
 * makes. Not late is what requests call (background, context), and what is not in the root.
 */
const LATE = new Map([
  ...FOLDERS.filter(
    ([name]) => !["background", "context", "inspector", "jwt", "serve", "testing"].includes(name),
  ).map(([name, folder]) => [resolve(`dist/modules/${folder}/index.js`), `${name}/main`]),
  [resolve("dist/modules/src/not-found.js"), "not-found"],
]);
const LATE_MARK = "?late";
/** Functions of functions, which a test compares with the code: `recover.wrap`. */
const MEMBERS = { recover: ["wrap"] };
/** A class must be there at once, for `instanceof`: the module that defines it. */
const CLASSES = { AbortRequest: resolve("dist/modules/src/recover/error.js") };

/** Replaces a late module by functions that load it and call their namesakes there. */
const lateModules = {
  name: "late-modules",
  resolveId(source, importer) {
    if (source.endsWith(LATE_MARK)) return resolve(source);
    if (importer === undefined || importer.endsWith(LATE_MARK)) return null;
    const id = join(importer, "..", source);
    return LATE.has(id) ? id + LATE_MARK : null;
  },
  async load(id) {
    if (!id.endsWith(LATE_MARK)) return null;
    const module = id.slice(0, -LATE_MARK.length);
    const { exports } = await this.load({ id: module });
    const load = `(late ??= require("./${basename(LATE.get(module))}.js"))`;
    const code = exports.flatMap((name) =>
      name in CLASSES
        ? `export { ${name} } from ${JSON.stringify(CLASSES[name])};`
        : [
            `export function ${name}(...given) { return ${load}.${name}(...given); }`,
            ...(MEMBERS[name] ?? []).map(
              (member) =>
                `${name}.${member} = function ${member}(...given) { return ${load}.${name}.${member}(...given); };`,
            ),
          ],
    );
    return `let late;\n${code.join("\n")}`;
  },
};

const isPackage = (id) => !/^[./]/.test(id);

/** CommonJS files stay files beside the chunks, because they are loaded late or run by worker threads. */
const commonJsFiles = (dir) => ({
  name: "commonjs-files",
  resolveId(source, importer) {
    if (!source.endsWith(".cjs") || importer === undefined) return null;
    const [, path] = /\/dist\/modules\/(?:src|tools)\/(.+)$/.exec(join(importer, "..", source));
    return { id: join(process.cwd(), dir, path), external: true };
  },
});

/** Comments are only kept in the declarations, and removed where they stand: TypeScript's printer takes a third of the build's time. Names are not shortened: a printed stack shows those of the handlers. */
const withoutComments = {
  name: "strip-comments",
  renderChunk(code) {
    const text = new MagicString(code);
    for (const { start, end } of parse(code, { sourceType: "unambiguous" }).comments) {
      let from = start;
      while (code[from - 1] === " ") from--;
      if (code[from - 1] === "\n") from--;
      if (/\w/.test(code[end] ?? ""))
        text.overwrite(start, end, " "); // two words must stay two
      else text.remove(from, end);
    }
    return text.toString();
  },
};

const code = (format, input, plugins = []) => ({
  input,
  external: isPackage,
  plugins: [commonJsFiles(`dist/${format}`), ...plugins, withoutComments],
  output: {
    dir: `dist/${format}`,
    format,
    interop: "auto",
    hoistTransitiveImports: false,
    entryFileNames: "[name].js",
    chunkFileNames: "shared/[name].js",
    manualChunks: (id) => {
      if (PROBLEMS.test(id)) return "problems";
      if (WATCHING.test(id)) return "watching";
      if (REDACTION.test(id)) return "redaction";
      if (ORIGINS.test(id)) return "origins";
      if (CHECKS.test(id)) return "checks";
      if (id.includes(`/dist/modules/src/${SHARED}/`) || Object.values(CLASSES).includes(id)) return "lib";
    },
  },
});

export default [
  code("esm", inputs(".js")),
  code(
    "cjs",
    {
      ...Object.fromEntries(
        Object.entries(inputs(".js")).map(([name, file]) => [
          name,
          LATE.has(resolve(file)) ? file + LATE_MARK : file,
        ]),
      ),
      ...Object.fromEntries([...LATE].map(([module, name]) => [name, module])),
      cli: "dist/modules/tools/cli.js",
    },
    [lateModules],
  ),
  {
    input: inputs(".d.ts"),
    external: isPackage,
    plugins: [dts()],
    output: { dir: "dist/esm", entryFileNames: "[name].d.ts", chunkFileNames: "shared/[name].ts" },
  },
];
