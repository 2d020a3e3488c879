import { join } from "node:path";
import { buildSync } from "esbuild";

const root = join(__dirname, "../..");

/** Bundles TypeScript that imports from the root (`./src/index.js`) to a program in one file; packages that are external stay outside. */
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
