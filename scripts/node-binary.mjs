// Binaries of other versions of Node, from the npm packages node-<platform>-<arch>. They are kept in node_modules/.cache, about
// 190 MB each.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const VERSIONS = { 20: "20.20.2", 22: "22.23.3", 24: "24.21.0", 26: "26.12.1" };

const root = fileURLToPath(new URL("..", import.meta.url));

/** The path of the binary of a major version, which is fetched if it is not there. */
export function nodeBinary(major) {
  if (process.versions.node.split(".")[0] === String(major)) return process.execPath;
  const name = `node-${process.platform}-${process.arch}`;
  const folder = join(root, "node_modules", ".cache", "matrix", String(major));
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
