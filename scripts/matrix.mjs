// Runs the test suite on several versions of Node: those of the list below, or those in the arguments.
//
//   npm run test:matrix
//   npm run test:matrix -- 24 --testPathPatterns serve
import { execFileSync, spawnSync } from "node:child_process";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { nodeBinary, VERSIONS } from "./node-binary.mjs";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
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
  const node = nodeBinary(major);
  console.log(`\n== Node ${execFileSync(node, ["--version"], { encoding: "utf8" }).trim()}`);
  // Programs that the tests start must run on the same version.
  const env = { ...process.env, PATH: `${dirname(node)}:${process.env.PATH}` };
  const { status } = spawnSync(node, ["node_modules/jest/bin/jest.js", ...rest], { stdio: "inherit", env });
  if (status !== 0) failed.push(major);
}
console.log(failed.length === 0 ? "\nall pass" : `\nfailed on Node ${failed.join(", ")}`);
process.exitCode = failed.length === 0 ? 0 : 1;
