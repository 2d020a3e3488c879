import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { lineChart } from "../serve/chart.js";
import { pin } from "../serve/server-process.js";

// What servers are worth under more load than they can serve. Each is a process on one core; the load is a process on
// another. First the capacity of each is measured, with a few requests at a time. Then 1, 2 and 3 times as many requests per
// second arrive at random times, whatever the server does with them. What counts are answers within 200 ms.
const CAPACITY_MS = 2_000;
const WARM_UP_MS = 3_000;
const LOAD_MS = 8_000;
const AT_A_TIME = 8;
const TIMES = [1, 2, 3];
/** loadShed at three times the capacity: the least part of the capacity that must be answered in time. */
const LEAST = 0.7;
const PAGE = new URL("../../docs/load-shed.md", import.meta.url);

const WAYS: Readonly<Record<string, string>> = {
  loadShed: "`loadShed()`",
  nothing: "nothing",
  "toobusy-js": "toobusy-js",
  "under-pressure": "@fastify/under-pressure",
};
const WORKS: Readonly<Record<string, string>> = {
  sync: "4 ms of CPU at once",
  await: "4 ms of CPU after 5 ms",
};

interface Offered {
  /** Requests per second. */
  readonly good: number;
  readonly late: number;
  readonly refused: number;
  readonly lost: number;
  readonly p50: number;
  readonly p99: number;
}

const HELP = `npm run bench:shed -- [${Object.keys(WORKS).join("|")} …] [--way loadShed,…] [--write]`;
const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { way: { type: "string" }, write: { type: "boolean" } },
});
const ways = values.way?.split(",") ?? Object.keys(WAYS);
if (positionals.some((work) => !(work in WORKS)) || ways.some((way) => !(way in WAYS))) {
  console.error(HELP);
  process.exit(2);
}

const tables: string[] = [];
for (const work of positionals.length > 0 ? positionals : Object.keys(WORKS)) await compare(work);
if (values.write) writePage();

async function compare(work: string): Promise<void> {
  const rows: string[] = [];
  const series: { label: string; values: number[]; isOurs: boolean }[] = [];
  for (const way of ways) {
    const { capacity, offered } = await measure(way, work);
    const useful = offered.map(({ good }) => good / capacity);
    if (way === "loadShed" && useful.at(-1)! < LEAST) process.exitCode = 1;
    const { p50, p99 } = offered.at(-1)!;
    const cells = [WAYS[way]!, capacity.toFixed(0), ...useful.map((part) => part.toFixed(2))];
    rows.push(row([...cells, milliseconds(p50), milliseconds(p99)]));
    series.push({
      label: WAYS[way]!.replace(/`|@fastify\//g, ""),
      values: useful.map((part) => part * 100),
      isOurs: way === "loadShed",
    });
  }
  const head = [WORKS[work]!, "capacity per second", ...TIMES.map((times) => `at ${times} times`)];
  const columns = [...head, "p50 at 3 times", "p99 at 3 times"];
  const table = [row(columns), row(columns.map((_cell, i) => (i === 0 ? "---" : "---:"))), ...rows];
  console.log(`\n${table.join("\n")}\n`);
  tables.push(...table, "");
  if (!values.write) return;
  const title = `Answers within 200 ms, in per cent of the capacity: ${WORKS[work]}`;
  const labels = TIMES.map((times) => `${times} times the capacity`);
  writeFileSync(
    new URL(`../../docs/images/load-shed-${work}.svg`, import.meta.url),
    lineChart(title, labels, series),
  );
}

async function measure(way: string, work: string): Promise<{ capacity: number; offered: Offered[] }> {
  const server = program("server.mjs", [way, work]);
  const load = program("load.mjs", []);
  try {
    const { port } = await message<{ port: number }>(server);
    pin(server.pid!, 0);
    pin(load.pid!, 1);
    const ask = <T>(job: object): Promise<T> => {
      load.send({ port, ...job });
      return message<T>(load);
    };
    await ask({ closed: AT_A_TIME, ms: CAPACITY_MS }); // the server's code is compiled
    let capacity = 0; // the highest of some: other programs on the machine only lower it
    for (let i = 0; i < 3; i++) {
      const { perSecond } = await ask<{ perSecond: number }>({ closed: AT_A_TIME, ms: CAPACITY_MS });
      capacity = Math.max(capacity, perSecond);
    }
    const offered: Offered[] = [];
    for (const times of TIMES) {
      const perSecond = capacity * times;
      const result = await ask<Offered>({ perSecond, warmUpMs: WARM_UP_MS, ms: LOAD_MS });
      offered.push(result);
      const { good, late, refused, lost } = result;
      const counts = Object.entries({ good, late, refused, lost });
      const text = counts.map(([name, count]) => `${count.toFixed(0)} ${name}`).join(", ");
      console.log(`${way}, ${work}, ${perSecond.toFixed(0)} per second: ${text}`);
    }
    return { capacity, offered };
  } finally {
    server.kill("SIGKILL");
    load.kill("SIGKILL");
  }
}

function program(name: string, args: readonly string[]): ChildProcess {
  return fork(fileURLToPath(new URL(name, import.meta.url)), args, { execArgv: [] });
}

/** The next message of a process; rejects if the process ends first. */
async function message<T>(child: ChildProcess): Promise<T> {
  const ended = new AbortController();
  const exit = once(child, "exit", { signal: ended.signal }).then(([code]) => {
    throw new Error(`${child.spawnargs.join(" ")} has ended with ${code}`);
  });
  exit.catch(() => {}); // aborted
  const first = once(child, "message", { signal: ended.signal });
  try {
    return ((await Promise.race([first, exit])) as [T])[0];
  } finally {
    ended.abort();
    first.catch(() => {});
  }
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

function milliseconds(ms: number | undefined): string {
  return ms === undefined ? "" : `${ms.toFixed(0)} ms`;
}

/** Replaces the tables between the comments in the page. */
function writePage(): void {
  const text = readFileSync(PAGE, "utf8");
  const [begin, end] = ["<!-- bench:shed -->", "<!-- end -->"];
  const from = text.indexOf(begin);
  const to = text.indexOf(end, from);
  if (from < 0 || to < 0) throw new Error(`${PAGE.pathname} has no ${begin} … ${end}`);
  writeFileSync(PAGE, `${text.slice(0, from)}${begin}\n${tables.join("\n").trimEnd()}\n${text.slice(to)}`);
}
