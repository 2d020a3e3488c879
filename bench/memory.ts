import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { fiveApp } from "./cases.js";
import { driver } from "./harness.js";

// A million requests through the five middleware must leave the heap as it was after the first ten thousand.
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const run = driver(fiveApp(), { headers: { origin: "https://app.example", "x-api-key": "k" } });
const heap = () => {
  collect();
  collect();
  return process.memoryUsage().heapUsed / 1e6;
};

const total = Number(process.argv[2] ?? 1_000_000);
await run(10_000);
const first = heap();
for (let served = 10_000; served < total; served += total / 10) {
  await run(total / 10);
  console.log(`${Math.min(served + total / 10, total)} requests: ${heap().toFixed(2)} MB`);
}
const grown = heap() - first;
console.log(`after 10,000: ${first.toFixed(2)} MB; grown since by ${grown.toFixed(2)} MB`);
process.exitCode = grown < 1 ? 0 : 1;
