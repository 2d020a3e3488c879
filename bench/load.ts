import { execFileSync } from "node:child_process";

// Loading the built root takes at most 1.5 times as long as helmet, morgan and cors together, in new processes.
const LIMIT = 1.5;
const ways: Record<string, string> = {
  nothing: "",
  peers: 'require("helmet");require("morgan");require("cors");',
  "express-portico": 'require("express-portico");',
  "express-portico/cors": 'require("express-portico/cors");',
};

const best = new Map(Object.keys(ways).map((name) => [name, Number.POSITIVE_INFINITY]));
for (let round = 0; round < 15; round++) {
  for (const [name, code] of Object.entries(ways)) {
    const script = `const t = process.hrtime.bigint(); ${code} console.log(Number(process.hrtime.bigint() - t) / 1e6)`;
    const ms = Number(execFileSync(process.execPath, ["-e", script], { encoding: "utf8" }));
    best.set(name, Math.min(best.get(name)!, ms));
  }
}
for (const [name, ms] of best) console.log(`${name.padEnd(22)} ${ms.toFixed(1)} ms`);
const ratio = best.get("express-portico")! / best.get("peers")!;
console.log(`${ratio.toFixed(2)} of ${LIMIT}`);
process.exitCode = ratio <= LIMIT ? 0 : 1;
