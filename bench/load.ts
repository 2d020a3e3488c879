import { execFileSync } from "node:child_process";

// The CPU time to load what is built, and to make the handlers, in new processes: the least of 15 rounds.
const ways = {
  "helmet + morgan + cors": 'require("helmet");require("morgan");require("cors");',
  "express-portico": 'require("express-portico");',
  "express-portico, by import": 'await import("express-portico");',
  "express-portico/cors": 'require("express-portico/cors");',
  "their handlers": 'require("helmet")();require("morgan")("combined");require("cors")();',
  "portico({ cors: {} })": 'require("express-portico").portico({ cors: {} });',
} as const;
type Way = keyof typeof ways;

/** How many times as long the first may take as the second. The handlers of portico() are six, those of the peers three. */
const LIMITS: [Way, Way, number][] = [
  ["express-portico", "helmet + morgan + cors", 1],
  ["express-portico, by import", "helmet + morgan + cors", 1.5],
  ["portico({ cors: {} })", "their handlers", 2],
];

const names = Object.keys(ways) as Way[];
const best = new Map<Way, number>(names.map((name) => [name, Number.POSITIVE_INFINITY]));
for (let round = 0; round < 15; round++) {
  for (const name of names) best.set(name, Math.min(best.get(name)!, cpuTime(ways[name])));
}
for (const [name, ms] of best) console.log(`${name.padEnd(28)} ${ms.toFixed(1)} ms`);
for (const [name, peer, limit] of LIMITS) {
  const ratio = best.get(name)! / best.get(peer)!;
  console.log(`${ratio.toFixed(2)} of ${limit}: ${name}, to ${peer}`);
  if (ratio > limit) process.exitCode = 1;
}

function cpuTime(code: string): number {
  const script = `
    (async () => {
      const start = process.cpuUsage();
      ${code}
      const { user, system } = process.cpuUsage(start);
      console.log((user + system) / 1e3);
    })();`;
  return Number(execFileSync(process.execPath, ["-e", script], { encoding: "utf8" }));
}
