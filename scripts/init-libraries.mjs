// Bundles the libraries of the command init, with their licences. They are no dependencies of the package: who uses only the
// middleware would install them too.
import { readFileSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const LIBRARIES = ["@babel/parser", "magic-string", "diff"];

/** @param {string} target the folder */
export async function buildLibraries(target) {
  await build({
    entryPoints: { libraries: "tools/init/libraries.cjs" },
    outdir: target,
    outExtension: { ".js": ".cjs" },
    bundle: true,
    minify: true,
    platform: "node",
    format: "cjs",
    target: "node20",
    legalComments: "none",
    logLevel: "error",
  });
  const licences = LIBRARIES.map(
    (name) => `${name}\n\n${readFileSync(`node_modules/${name}/LICENSE`, "utf8").trim()}\n`,
  );
  writeFileSync(`${target}/licenses.txt`, licences.join(`\n${"-".repeat(70)}\n\n`));
}
