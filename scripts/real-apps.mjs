// Reads real Express applications from npm packages, and compares what checkPipeline reports with the list below. A report
// that is not in the list is wrong, or new.
//
//   npm run check:real-apps
//   npm run check:real-apps -- kue
//
// The packages are kept in node_modules/.cache/real-apps, about 500 MB. None of them listens.
import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { APPS, installed, root } from "./real-apps/apps.mjs";

const wanted = process.argv.slice(2);
const named = Object.entries(APPS).filter(([name]) => wanted.length === 0 || wanted.includes(name));
const [, , only, inside] = process.argv;
if (inside === "--inside") await report(only);
else process.exitCode = all() ? 0 : 1;

/** Each in a child process, because some leave timers and connections behind when they are loaded. */
function all() {
  execFileSync(process.execPath, [join(root, "scripts", "build.mjs")], { stdio: "inherit" });
  let failed = 0;
  for (const [name, { expected }] of named) {
    let text;
    try {
      text = execFileSync(process.execPath, [fileURLToPath(import.meta.url), name, "--inside"], {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
        timeout: 120_000,
      });
    } catch {
      text = "";
    }
    const line = text.split("\n").find((one) => one.startsWith("{"));
    const result = line === undefined ? undefined : JSON.parse(line);
    const found = result?.findings.map(({ rule, at }) => `${rule} at ${at}`) ?? ["it could not be loaded"];
    const right = JSON.stringify(found) === JSON.stringify(expected);
    if (!right) failed++;
    console.log(
      `${right ? "ok  " : "OTHER"} ${name} (Express ${result?.express ?? "?"}, ${result?.nodes ?? 0} nodes)`,
    );
    for (const one of result?.findings ?? []) console.log(`     ${one.level} ${one.message}`);
    if (!right) console.log(`     found ${JSON.stringify(found)}, expected ${JSON.stringify(expected)}`);
  }
  console.log(
    failed === 0 ? `\nall ${named.length} as they are known` : `\n${failed} are not as they are known`,
  );
  return failed === 0;
}

async function report(name) {
  const app = APPS[name];
  const folder = installed(app);
  const require = createRequire(join(folder, "app.js"));
  const { checkPipeline, describePipeline } = createRequire(import.meta.url)("express-portico");
  const loaded = await app.load({ require, folder });
  const count = (node) => node.children.reduce((sum, child) => sum + count(child), 1);
  const express = loaded._router === undefined ? 5 : 4;
  console.log(
    JSON.stringify({ findings: checkPipeline(loaded), nodes: count(describePipeline(loaded)), express }),
  );
  process.exit(0);
}
