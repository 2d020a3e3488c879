/** Whether Node was started with a loader, such as `node --import tsx`, ts-node or swc. */
function hasLoader(): boolean {
  const given = `${process.execArgv.join(" ")} ${process.env.NODE_OPTIONS ?? ""}`;
  return /(?:^|\s)(?:--import|--loader|--experimental-loader|--require|-r)(?:[\s=]|$)/.test(given);
}

/** Registers the tsx that is installed beside the file or in the working directory, for a TypeScript file. */
export async function registerTypeScript(file: string): Promise<void> {
  if (!/\.[cm]?tsx?$/.test(file) || hasLoader()) return;
  const { createRequire } = process.getBuiltinModule("node:module");
  const { join } = process.getBuiltinModule("node:path");
  for (const place of [file, join(process.cwd(), "x.js")]) {
    const require = createRequire(place);
    let modules: string;
    let commonJs: string;
    try {
      modules = require.resolve("tsx/esm/api");
      commonJs = require.resolve("tsx/cjs/api");
    } catch {
      continue;
    }
    (require(commonJs) as { register(): unknown }).register();
    // The CommonJS form of this module resolves its loader wrongly.
    const api = process.getBuiltinModule("node:url").pathToFileURL(modules.replace(/\.cjs$/, ".mjs")).href;
    ((await import(api)) as { register(): unknown }).register();
    return;
  }
}
