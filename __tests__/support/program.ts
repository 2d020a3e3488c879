import { join } from "node:path";
import { buildSync } from "esbuild";

const root = join(__dirname, "../..");

/** Makes a program of its own of TypeScript that imports from the root (`./src/index.js`), with all it needs in one file but what is external. */
export function buildProgram(contents: string, outfile: string, external: string[] = []): void {
  buildSync({
    stdin: { contents, resolveDir: root, loader: "ts" },
    bundle: true,
    external,
    platform: "node",
    format: "cjs",
    outfile,
    logLevel: "silent",
  });
}
