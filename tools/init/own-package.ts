import { PACKAGE } from "./imports.js";

/** The text with the copy of the package that this command is in, for files that find none. */
export function withOwnPackage(text: string): string {
  const { join } = process.getBuiltinModule("node:path");
  const { pathToFileURL } = process.getBuiltinModule("node:url");
  const { folder } = ownPackage();
  const required = join(folder, "dist/cjs/index.js");
  const imported = pathToFileURL(join(folder, "dist/node/index.js")).href;
  const named = new RegExp(`(require\\(\\s*|from\\s*)(['"])${PACKAGE}\\2`, "g");
  return text.replace(
    named,
    (_all, before: string) => before + JSON.stringify(before.startsWith("require") ? required : imported),
  );
}

/** The range of versions that package.json gets. */
export function ownRange(): string {
  return `^${ownPackage().version}`;
}

function ownPackage(): { readonly folder: string; readonly version: string } {
  const { existsSync, readFileSync, realpathSync } = process.getBuiltinModule("node:fs");
  const { dirname, join } = process.getBuiltinModule("node:path");
  for (let folder = dirname(realpathSync(process.argv[1]!)); ; folder = dirname(folder)) {
    const file = join(folder, "package.json");
    const { name, version } = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : {};
    if (name === PACKAGE) return { folder, version };
    if (dirname(folder) === folder) throw new Error(`${process.argv[1]} is not in the package`);
  }
}
