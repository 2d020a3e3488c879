// Builds the inspector's page into one folder: a script with uPlot in it, a style sheet and the document. As a program, into the
// folder that `npm run build` puts it in: `npm run demo` needs nothing else of the build.
import { copyFileSync, existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const UPLOT = "node_modules/uplot/LICENSE";
const source = fileURLToPath(new URL("../tools/inspector/page", import.meta.url));

/** @param {string} target the folder */
export async function buildPage(target) {
  if (!existsSync(UPLOT) && process.env.CI !== "true") {
    console.warn("uplot is not installed, so the inspector's page is left out: npm install");
    return;
  }
  await build({
    entryPoints: { app: `${source}/main.ts` },
    outdir: target,
    bundle: true,
    minify: true,
    format: "iife",
    target: ["chrome109", "firefox115", "safari16"],
    legalComments: "inline", // uPlot's licence
    logLevel: "error",
  });
  for (const file of ["index.html", "icon.svg"]) copyFileSync(`${source}/${file}`, `${target}/${file}`);
  copyFileSync(UPLOT, `${target}/uplot-license.txt`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildPage("dist/inspector-page");
