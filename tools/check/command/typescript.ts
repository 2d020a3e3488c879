/** What loads TypeScript may be there already: `node --import tsx`, ts-node, swc. */
function hasLoader(): boolean {
  const given = `${process.execArgv.join(" ")} ${process.env.NODE_OPTIONS ?? ""}`;
  return /(?:^|\s)(?:--import|--loader|--experimental-loader|--require|-r)(?:[\s=]|$)/.test(given);
}

/** Lets TypeScript be imported by the tsx that is installed beside the file, or beside the command's caller. */
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
    // Its CommonJS form looks for its loader in the wrong place.
    const api = process.getBuiltinModule("node:url").pathToFileURL(modules.replace(/\.cjs$/, ".mjs")).href;
    ((await import(api)) as { register(): unknown }).register();
    return;
  }
}
