import { IncomingMessage } from "node:http";
import { Socket } from "node:net";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { normalise, type ViolationReport } from "../../src/csp-reports/normalise.js";
import { readBody } from "../../src/csp-reports/receive.js";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

function heapUsed(): number {
  collect();
  return process.memoryUsage().heapUsed;
}

const STORED = 200;
const LONG = "x".repeat(60_000);

const entries: [string, object][] = [
  ["a long URL", { "csp-report": { "blocked-uri": `https://a.example/${LONG}` } }],
  ["a long fragment", { "csp-report": { "document-uri": `https://a.example/page#${LONG}` } }],
  ["long credentials", { "csp-report": { "document-uri": `https://${LONG}@a.example/a/long/enough/page` } }],
  ["a long directive", { "csp-report": { "violated-directive": `script-src-elem ${LONG}` } }],
  ["a long message", { type: "x", url: "https://a.example/", body: { message: LONG } }],
];

it.each(entries)("a stored report does not keep %s in memory", (_name, entry) => {
  const json = JSON.stringify(entry);
  const before = heapUsed();
  const kept: unknown[] = [];
  for (let i = 0; i < STORED; i++) kept.push(normalise(JSON.parse(json)) as ViolationReport);
  const each = (heapUsed() - before) / kept.length;
  expect(kept).toHaveLength(STORED);
  expect(each).toBeLessThan(16_384);
});

it("a body takes memory of about its own length, even if each byte is a chunk", async () => {
  const length = 200_000; // with fewer, what else is on the heap would count
  const req = new IncomingMessage(new Socket());
  const outcome = readBody(req, 1_000_000);
  const before = heapUsed();
  for (let i = 0; i < length; i++) {
    req.push(Buffer.from([0x20]));
    if (i % 1_000 === 0) await new Promise(setImmediate);
  }
  await new Promise(setImmediate);
  expect(heapUsed() - before).toBeLessThan(length * 5);
  req.push(null);
  expect(await outcome).toHaveLength(length);
});
