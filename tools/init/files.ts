import { requiredPackage } from "./packages.js";
import { readSource, type Source } from "./source.js";

const { existsSync, readdirSync, readFileSync, statSync } = process.getBuiltinModule("node:fs");
const { dirname, join, sep } = process.getBuiltinModule("node:path");

const EXTENSIONS = [".js", ".cjs", ".mjs", ".ts", ".cts", ".mts", ".tsx", ".jsx"];
export const SOURCE = /\.[cm]?[jt]sx?$/;
const SKIPPED = new Set([
  "node_modules",
  "bower_components",
  "dist",
  "build",
  "coverage",
  "public",
  "vendor",
]);
/** A project of more files is not searched to its end. */
export const MAX_FILES = 3_000;
/** Longer files are bundles. */
const MAX_BYTES = 500_000;

/** The file that a path without extension, or of a folder, means. */
export function resolveFile(path: string): string | undefined {
  const typed = path.replace(/\.([cm]?)js$/, ".$1ts");
  const candidates = [
    path,
    ...EXTENSIONS.map((one) => path + one),
    typed,
    ...EXTENSIONS.map((one) => join(path, `index${one}`)),
  ];
  return candidates.find((one) => existsSync(one) && statSync(one).isFile() && !one.endsWith(".json"));
}

/** A parsed file; undefined if it cannot be read as JavaScript or TypeScript. */
export function parsed(file: string): Source | undefined {
  const text = textIn(file);
  if (text === undefined) return undefined;
  try {
    return readSource(file, text);
  } catch {
    return undefined; // what the parser cannot read is not followed
  }
}

const texts = new Map<string, string | undefined>();

export function textIn(file: string): string | undefined {
  if (!texts.has(file)) {
    const isShort = existsSync(file) && statSync(file).size <= MAX_BYTES;
    texts.set(file, isShort ? readFileSync(file, "utf8") : undefined);
  }
  return texts.get(file);
}

export function packageFolder(from: string): string | undefined {
  for (let folder = from; ; folder = dirname(folder)) {
    if (existsSync(join(folder, "package.json"))) return folder;
    if (dirname(folder) === folder) return undefined;
  }
}

/** The source files below a folder. What usually holds the output of a compiler is left out, unless the app is in it. */
export function filesBelow(root: string, from: string): readonly string[] {
  const isLeftOut = (name: string, path: string) =>
    SKIPPED.has(name) && from !== path && !from.startsWith(path + sep);
  const found: string[] = [];
  const folders = [root];
  for (const folder of folders) {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory() && !isLeftOut(entry.name, path) && !entry.name.startsWith("."))
        folders.push(path);
      else if (entry.isFile() && (SOURCE.test(entry.name) || folder.endsWith("bin"))) found.push(path);
      if (found.length >= MAX_FILES) return found;
    }
  }
  return found;
}

/** Whether a name that is not relative may mean a file: `@/app`, `~/app`, `#app`, `src/app` with an alias of the compiler. */
export function mayMean(name: string, file: string): boolean {
  const path = file
    .replaceAll("\\", "/")
    .replace(SOURCE, "")
    .replace(/\/index$/, "");
  const plain = name.replace(SOURCE, "").replace(/\/index$/, "");
  const [alias = "", ...rest] = plain.split("/");
  const names = [plain, rest.join("/"), alias.startsWith("#") ? plain.slice(1) : ""];
  return names.some((one) => one !== "" && path.endsWith(`/${one}`));
}

/** The files that a file imports, as it names them. */
export function importedNames(source: Source): readonly string[] {
  return source.nodes.flatMap((node) => {
    if (
      node.type === "ImportDeclaration" ||
      node.type === "ExportAllDeclaration" ||
      node.type === "ExportNamedDeclaration"
    )
      return node.source ? [node.source.value] : [];
    if (node.type === "CallExpression" && node.callee.type === "Import")
      return node.arguments[0]?.type === "StringLiteral" ? [node.arguments[0].value] : [];
    if (node.type === "TSExternalModuleReference") return [node.expression.value];
    return requiredPackage(source, node) ?? [];
  });
}

export function isRelative(name: string): boolean {
  return /^\.\.?(?:\/|$)/.test(name);
}

export function isTest(file: string): boolean {
  return /(?:^|[\\/])(?:__tests__|tests?|spec)[\\/]|\.(?:test|spec)\.\w+$/.test(file);
}
