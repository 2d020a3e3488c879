// Builds dist/ from nothing: a deleted source file leaves no stale output.
//
// The code is CommonJS, in few files. The ES modules name what these export, so that `import` and `require` in one
// process get one and the same package: one ConfigError, one request context, on every Node.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, relative } from "node:path";
import { fileURLToPath } from "node:url";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const require = createRequire(import.meta.url);
const run = (script, ...args) => {
  execFileSync(process.execPath, [`node_modules/${script}`, ...args], {
    stdio: ["ignore", "inherit", "inherit"],
  });
};

rmSync("dist", { recursive: true, force: true });
run("typescript/bin/tsc", "-p", "tsconfig.build.json");
run("@rollup/wasm-node/dist/bin/rollup", "-c", "--silent");
cpSync("src/offload/worker.cjs", "dist/cjs/offload/worker.cjs"); // run by worker threads, as a file
writeFileSync("dist/cjs/package.json", '{"type":"commonjs"}\n');

for (const file of readdirSync("dist/modules", { recursive: true })) {
  if (!file.endsWith(".d.ts")) continue;
  cpSync(`dist/modules/${file}`, `dist/esm/${file}`);
  cpSync(`dist/modules/${file}`, `dist/cjs/${file}`);
}
rmSync("dist/modules", { recursive: true });

for (const file of readdirSync("dist/cjs", { recursive: true })) {
  if (!file.endsWith("index.js")) continue;
  const names = Object.keys(require(`../dist/cjs/${file}`)).filter((name) => name !== "__esModule");
  const target = `dist/esm/${file}`;
  mkdirSync(dirname(target), { recursive: true });
  const source = relative(dirname(target), `dist/cjs/${file}`);
  writeFileSync(target, `import cjs from "${source}";\nexport const { ${names.join(", ")} } = cjs;\n`);
}
