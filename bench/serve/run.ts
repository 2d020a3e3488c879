import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { nodeBinary, VERSIONS } from "../../scripts/node-binary.mjs";
import { barChart, lineChart } from "./chart.js";
import { type Limit, limitsFor, SERVERS, STEPS } from "./compared.js";
import type { Exchange } from "./loopback.js";
import { pin, ServerProcess } from "./server-process.js";
import { WORKLOADS, type Workload } from "./workloads.js";

// Whole servers over loopback: each is a process, and this process makes the load. The figure is the CPU time of the server
// divided by its requests. Rounds are short and interleaved, and the median round of each process counts. Each server has
// several processes, and the median process counts, because the same program can be a fifth slower in one process than in
// another.
const PROCESSES = 3;
const ROUNDS = 20;
const WARM_UPS = 8;
const REQUESTS = 2_000;
const OURS = "express portico serve";
const FASTIFY = "fastify plugins";
const BY_HAND = "express hand listen";
const SMALL: Exchange = WORKLOADS["small JSON"];

const PARTS = { servers, steps, workloads, latency, memory, heap };
const HELP = `npm run bench:serve -- [${Object.keys(PARTS).join("|")} …] [--node 24,26] [--write]`;
const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { node: { type: "string" }, write: { type: "boolean" } },
});
const unknown = positionals.filter((part) => !(part in PARTS));
const majors = values.node?.split(",") ?? [process.versions.node.split(".")[0]!];
if (unknown.length > 0 || majors.some((major) => !(major in VERSIONS))) {
  console.error(HELP);
  process.exit(2);
}

// This process never sleeps: waking it would cost the server's CPU time, and a slower server would wake it more often.
const stayAwake = () => void (awake = setImmediate(stayAwake));
let awake = setImmediate(stayAwake);
pin(process.pid, 1);

/** Lines of the page, by the name of the place that they are written to. */
const written = new Map<string, string[]>();
try {
  for (const major of majors) {
    console.log(`\nNode ${VERSIONS[Number(major) as keyof typeof VERSIONS]}`);
    for (const [part, run] of Object.entries(PARTS)) {
      if (positionals.length === 0 || positionals.includes(part)) await run(major);
    }
  }
} finally {
  clearImmediate(awake);
}
if (values.write) writePage();

async function servers(major: string): Promise<void> {
  const micros = await measure(major, Object.keys(SERVERS), SMALL);
  const ours = micros.get(OURS)!;
  const sorted = [...micros].sort((one, other) => one[1] - other[1]);
  const rows = sorted.map(([name, cost]) => [SERVERS[name]!, cost.toFixed(0), (ours / cost).toFixed(2)]);
  print(`servers ${major}`, ["Node " + major, "us", "`portico()` under `serve` to it"], rows);
  for (const limit of limitsFor(major)) compare(limit, micros);
  const bars = sorted.map(([name, value]) => ({
    label: SERVERS[name]!.replaceAll("`", ""),
    value,
    isOurs: name === OURS,
  }));
  chart(`servers-${major}`, barChart(`CPU time per request on Node ${major}, in microseconds`, bars));
}

/** In hundredths of a bare Express app, because microseconds cannot be compared between machines. */
async function steps(major: string): Promise<void> {
  const names = [...new Set(Object.values(STEPS).flatMap((step) => Object.values(step)))];
  const micros = await measure(major, names, SMALL);
  const costs = Object.entries(STEPS).map(([label, step]) => {
    const bare = micros.get(STEPS.bare!.hand!)!;
    const cost = (name: string | undefined) =>
      name === undefined ? undefined : (100 * micros.get(name)!) / bare;
    return { label, ours: cost(step.ours), hand: cost(step.hand), fastify: cost(step.fastify) };
  });
  const text = (cost: number | undefined) => cost?.toFixed(0) ?? "";
  const rows = costs.map(({ label, ours, hand, fastify }) => [label, text(ours), text(hand), text(fastify)]);
  print(`steps ${major}`, ["Node " + major, "ours, under `serve`", "Express by hand", "Fastify"], rows);
  const series = [
    { label: "ours, under serve", values: costs.map(({ ours }) => ours), isOurs: true },
    { label: "Express by hand", values: costs.map(({ hand }) => hand), isOurs: false },
    { label: "Fastify", values: costs.map(({ fastify }) => fastify), isOurs: false },
  ];
  const labels = costs.map(({ label }) => label);
  chart(
    `steps-${major}`,
    lineChart(`CPU time per request on Node ${major}; bare Express by app.listen is 100`, labels, series),
  );
}

async function workloads(major: string): Promise<void> {
  const rows: string[][] = [];
  for (const name of Object.keys(WORKLOADS) as Workload[]) {
    const micros = await measure(major, [OURS, FASTIFY], WORKLOADS[name]);
    const ratio = compare({ name, ours: OURS, peer: FASTIFY, limit: 1.25 }, micros);
    rows.push([name, micros.get(OURS)!.toFixed(0), micros.get(FASTIFY)!.toFixed(0), ratio]);
  }
  print(`workloads ${major}`, ["Node " + major, "ours, us", "Fastify, us", "ratio"], rows);
}

/** Both at the same rate: half of what Fastify can do. */
async function latency(major: string): Promise<void> {
  const micros = await measure(major, [FASTIFY], SMALL);
  const rate = 500_000 / micros.get(FASTIFY)!;
  const both = await Promise.all([OURS, FASTIFY].map((name) => start(name, major, SMALL)));
  const taken = both.map(() => [] as number[]);
  for (let round = -2; round < 9; round++) {
    for (const [i, server] of both.entries()) {
      const p99 = await server.p99(rate, 10_000);
      if (round >= 0) taken[i]!.push(p99);
    }
  }
  for (const server of both) server.stop();
  const [ours, fastify] = taken.map((one) => median(one)) as [number, number];
  const row = [rate.toFixed(0), ours.toFixed(2), fastify.toFixed(2), (ours / fastify).toFixed(2)];
  print(
    `latency ${major}`,
    ["Node " + major + ", requests per second", "p99 of ours, ms", "of Fastify, ms", "ratio"],
    [row],
  );
}

async function memory(major: string): Promise<void> {
  const names = [OURS, BY_HAND, FASTIFY];
  const rss = new Map<string, number[]>(names.map((name) => [name, []]));
  for (let i = 0; i < 5; i++) {
    for (const name of names) {
      const server = await start(name, major, SMALL);
      rss.get(name)!.push((await server.memory()).rss);
      server.stop();
    }
  }
  const [ours, hand, fastify] = names.map((name) => median(rss.get(name)!)) as [number, number, number];
  const row = [ours.toFixed(0), hand.toFixed(0), fastify.toFixed(0), (ours / hand).toFixed(2)];
  const head = ["Node " + major + ", MB after the start", "Express by hand", "Fastify", "ours to by hand"];
  print(`memory ${major}`, head, [row]);
  if (ours / hand > 1.15) process.exitCode = 1;
}

async function heap(major: string): Promise<void> {
  const server = await start(OURS, major, SMALL);
  await server.round(10_000, false);
  const before = await server.memory();
  await server.round(1_000_000, false);
  const after = await server.memory();
  server.stop();
  const row = [before.heap.toFixed(2), after.heap.toFixed(2), (after.heap - before.heap).toFixed(2)];
  print(
    `heap ${major}`,
    ["Node " + major + ", MB after 10,000 requests", "after a million more", "grown"],
    [row],
  );
  if (after.heap - before.heap > 1) process.exitCode = 1;
}

function start(name: string, major: string, exchange: Exchange): Promise<ServerProcess> {
  return ServerProcess.start(name, nodeBinary(major), exchange);
}

/** Microseconds per request of each server: the median of its processes, each by its median round. */
async function measure(
  major: string,
  names: readonly string[],
  exchange: Exchange,
): Promise<Map<string, number>> {
  const started: ServerProcess[] = [];
  try {
    for (let i = 0; i < PROCESSES; i++) {
      for (const name of names) started.push(await start(name, major, exchange));
    }
    for (let round = -WARM_UPS; round < ROUNDS; round++) {
      for (const server of started) await server.round(REQUESTS, round >= 0);
    }
    const costs = names.map((name) => {
      const processes = started.filter((server) => server.name === name);
      return [name, median(processes.map(({ micros }) => median(micros)))] as const;
    });
    return new Map(costs);
  } finally {
    for (const server of started) server.stop();
  }
}

function median(of: readonly number[]): number {
  return [...of].sort((a, b) => a - b)[Math.floor(of.length / 2)]!;
}

function compare({ name, ours, peer, limit }: Limit, micros: ReadonlyMap<string, number>): string {
  const ratio = micros.get(ours)! / micros.get(peer)!;
  if (ratio > limit) process.exitCode = 1;
  const costs = `${micros.get(ours)!.toFixed(0)} us of ${micros.get(peer)!.toFixed(0)} us`;
  console.log(
    `${(ratio <= limit ? "ok" : "OVER").padEnd(5)}${name.padEnd(58)} ${costs}: ${ratio.toFixed(2)} of ${limit}`,
  );
  return ratio.toFixed(2);
}

function print(place: string, head: readonly string[], rows: readonly (readonly string[])[]): void {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const lines = [line(head), line(head.map((_cell, i) => (i === 0 ? "---" : "---:"))), ...rows.map(line)];
  console.log(`\n${lines.join("\n")}\n`);
  written.set(place, lines);
}

function chart(name: string, svg: string): void {
  if (values.write) writeFileSync(new URL(`../../docs/images/${name}.svg`, import.meta.url), svg);
}

/** Replaces the tables that were measured, between their comments in the page. */
function writePage(): void {
  const page = new URL("../../docs/performance.md", import.meta.url);
  let text = readFileSync(page, "utf8");
  for (const [place, lines] of written) {
    const [begin, end] = [`<!-- bench:serve ${place} -->`, "<!-- end -->"];
    const from = text.indexOf(begin);
    if (from < 0) continue;
    text = `${text.slice(0, from)}${begin}\n${lines.join("\n")}\n${text.slice(text.indexOf(end, from))}`;
  }
  writeFileSync(page, text);
}
