import { type Case, cases } from "./cases.js";
import { measure } from "./harness.js";
import { jwtCases } from "./jwt-cases.js";

/** Which cases to run: all, or those with this word in their name. */
const wanted = process.argv[2] ?? "";

let failed = 0;
const all = [...cases(), ...(await jwtCases())];
for (const one of all.filter(({ name }) => name.includes(wanted))) failed += (await report(one)) ? 0 : 1;
console.log(failed === 0 ? "\nall within their limits" : `\n${failed} over their limit`);
process.exitCode = failed === 0 ? 0 : 1;

/** Measures a case: what ours adds to the bare app, divided by what the peer adds. Up to three tries, because machines are noisy. */
async function report({
  name,
  bare,
  ours,
  peer,
  limit,
  mostUs = Number.POSITIVE_INFINITY,
  shape,
  requests,
}: Case): Promise<boolean> {
  let best = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < 3 && best > limit; attempt++) {
    const cpu = await measure(
      new Map([
        ["bare", bare],
        ["ours", ours.app],
        ["peer", peer.app],
      ]),
      shape,
      requests,
    );
    const base = cpu.get("bare")!;
    const added = { ours: cpu.get("ours")! - base, peer: cpu.get("peer")! - base };
    // A case that adds more microseconds than it may is over its limit, whatever the ratio.
    const ratio = added.ours > mostUs ? Number.POSITIVE_INFINITY : added.ours / added.peer;
    best = Math.min(best, ratio);
    const verdict = ratio <= limit ? "ok" : "OVER";
    console.log(
      `${verdict.padEnd(5)}${name.padEnd(46)} ${ours.name} +${added.ours.toFixed(2)} us, ` +
        `${peer.name} +${added.peer.toFixed(2)} us (bare ${base.toFixed(2)}): ${ratio.toFixed(2)} of ${limit}`,
    );
  }
  return best <= limit;
}
