// Builds both module formats into dist/, from nothing: a deleted source file leaves no stale output.
import { execFileSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const tsc = fileURLToPath(new URL("../node_modules/typescript/bin/tsc", import.meta.url));

rmSync("dist", { recursive: true, force: true });
for (const format of ["esm", "cjs"]) {
  execFileSync(process.execPath, [tsc, "-p", `tsconfig.${format}.json`], { stdio: "inherit" });
}
writeFileSync("dist/cjs/package.json", '{"type":"commonjs"}\n');
