// Runs the test suite on several versions of Node: those of the list below, or those in the arguments.
//
//   npm run test:matrix
//   npm run test:matrix -- 24 --testPathPatterns serve
//
// The npm packages node-<platform>-<arch> hold the binaries. They are kept in node_modules/.cache, about 190 MB each.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const VERSIONS = { 20: "20.20.2", 22: "22.23.3", 24: "24.21.0", 26: "26.12.1" };

const root = fileURLToPath(new URL("..", import.meta.url));
process.chdir(root);
const args = process.argv.slice(2);
const named = args.filter((arg) => /^\d+$/.test(arg));
const majors = named.length > 0 ? named : Object.keys(VERSIONS);
const rest = args.filter((arg) => !named.includes(arg));
const unknown = majors.filter((major) => !(major in VERSIONS));
if (unknown.length > 0) {
  console.error(`Node ${unknown.join(", ")} is not in the matrix: ${Object.keys(VERSIONS).join(", ")}`);
  process.exit(2);
}

execFileSync(process.execPath, ["scripts/build.mjs"], { stdio: "inherit" });
const failed = [];
for (const major of majors) {
  const node = binary(major);
  console.log(`\n== Node ${execFileSync(node, ["--version"], { encoding: "utf8" }).trim()}`);
  // Programs that the tests start must run on the same version.
  const env = { ...process.env, PATH: `${dirname(node)}:${process.env.PATH}` };
  const { status } = spawnSync(node, ["node_modules/jest/bin/jest.js", ...rest], { stdio: "inherit", env });
  if (status !== 0) failed.push(major);
}
console.log(failed.length === 0 ? "\nall pass" : `\nfailed on Node ${failed.join(", ")}`);
process.exitCode = failed.length === 0 ? 0 : 1;

function binary(major) {
  if (process.versions.node.split(".")[0] === major) return process.execPath;
  const name = `node-${process.platform}-${process.arch}`;
  const folder = join(root, "node_modules", ".cache", "matrix", major);
  const node = join(folder, "node_modules", name, "bin", "node");
  if (existsSync(node)) return node;
  console.log(`fetching Node ${VERSIONS[major]} …`);
  mkdirSync(folder, { recursive: true });
  execFileSync(
    "npm",
    ["install", "--prefix", folder, "--no-save", "--silent", `${name}@${VERSIONS[major]}`],
    {
      stdio: ["ignore", "ignore", "inherit"],
    },
  );
  return node;
}
