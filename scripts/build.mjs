// Builds dist/ from scratch, so that a deleted source file leaves no output.
//
// dist/cjs   what Node runs. CommonJS loads in half the time of ES modules, and can load a middleware when it is first made.
// dist/node  what `import` gets in Node. It re-exports dist/cjs, so that `import` and `require` in one process get the same
//            package: one ConfigError, one request context.
// dist/esm   ES modules, for bundlers (they drop what is not used), and for every import of jwt: jose has no CommonJS form,
//            and some programs that run CommonJS cannot `require` ES modules (Jest, Yarn PnP).
// dist/cjs/init   the libraries that the command init uses, in one file.
// dist/inspector-page   what the inspector's server sends to browsers.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { buildLibraries } from "./init-libraries.mjs";
import { buildPage } from "./inspector-page.mjs";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const require = createRequire(import.meta.url);
const run = (script, ...args) => {
  execFileSync(process.execPath, [`node_modules/${script}`, ...args], {
    stdio: ["ignore", "inherit", "inherit"],
  });
};

rmSync("dist", { recursive: true, force: true });
// `npm run typecheck` reports the errors of types; to look for them here too would double the time of `npm test`'s build.
run("typescript/bin/tsc", "-p", "tsconfig.build.json", "--noCheck");
run("rollup/dist/bin/rollup", "-c", "--silent");
rmSync("dist/modules", { recursive: true });

for (const folder of ["src", "tools"]) {
  for (const file of readdirSync(folder, { recursive: true })) {
    if (!file.endsWith(".cjs") || file.endsWith("libraries.cjs")) continue;
    for (const format of ["esm", "cjs"]) cpSync(`${folder}/${file}`, `dist/${format}/${file}`);
  }
}
await buildLibraries("dist/cjs/init");
await buildPage("dist/inspector-page");
writeFileSync("dist/cjs/package.json", '{"type":"commonjs"}\n');
// The declarations are the same for both formats; TypeScript takes the format from the folder.
for (const file of readdirSync("dist/esm", { recursive: true })) {
  if (file.endsWith(".d.ts")) cpSync(`dist/esm/${file}`, `dist/cjs/${file}`);
}

for (const file of readdirSync("dist/cjs", { recursive: true })) {
  if (!/(?:^|[\\/])index\.js$/.test(file) || file.startsWith("shared") || file.startsWith("jwt")) continue;
  const names = Object.keys(require(`../dist/cjs/${file}`)).filter((name) => name !== "__esModule");
  const target = `dist/node/${file}`;
  mkdirSync(dirname(target), { recursive: true });
  const source = relative(dirname(target), `dist/cjs/${file}`).replaceAll("\\", "/");
  writeFileSync(target, `import cjs from "${source}";\nexport const { ${names.join(", ")} } = cjs;\n`);
}
