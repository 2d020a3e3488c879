// Holds the built package to its size budget. Exits with 1 if a figure is over.
//
//   npm run size
//
// A figure that grows for a good reason gets a new budget in the same commit: today's value and a few per cent of room.
import { execFileSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const { dependencies } = JSON.parse(readFileSync("package.json", "utf8"));

const BUDGET = {
  "bundle of { cors }, minified": [() => bundle("cors"), 43_600],
  "bundle of everything, minified": [() => bundle("*"), 406_000],
  'require("express-portico")': [() => loaded('require("express-portico")'), 165_000],
  "its portico({ cors: {} })": [() => loaded('require("express-portico").portico({ cors: {} })'), 366_000],
  "package, packed": [() => pack().size, 940_000],
  "package, unpacked": [() => pack().unpackedSize, 3_465_000],
};

let over = 0;
for (const [name, [measure, limit]] of Object.entries(BUDGET)) {
  const bytes = await measure();
  if (bytes > limit) over++;
  const verdict = bytes > limit ? "OVER" : "ok";
  console.log(
    `${verdict.padEnd(5)}${name.padEnd(47)}${bytes.toLocaleString("en").padStart(10)} of ${limit.toLocaleString("en")}`,
  );
}
process.exitCode = over === 0 ? 0 : 1;

/** What a bundler makes of an import from the root. Dependencies stay outside. */
async function bundle(name) {
  const names = name === "*" ? "* as all" : `{ ${name} as all }`;
  const { outputFiles } = await build({
    stdin: { contents: `import ${names} from "express-portico"; console.log(all);`, resolveDir: "." },
    bundle: true,
    minify: true,
    platform: "node",
    format: "esm",
    external: ["express", "piscina", "prom-client", ...Object.keys(dependencies)],
    write: false,
    logLevel: "error",
  });
  return outputFiles[0].contents.length;
}

/** The bytes of the files that Node reads, dependencies included, for some code. */
function loaded(code) {
  const script = `${code}; console.log(JSON.stringify(Object.keys(require.cache)))`;
  const files = JSON.parse(execFileSync(process.execPath, ["-e", script], { encoding: "utf8" }));
  return files.reduce((sum, file) => sum + statSync(file).size, 0);
}

function pack() {
  const args = ["pack", "--dry-run", "--json", "--ignore-scripts"];
  return JSON.parse(execFileSync("npm", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }))[0];
}
