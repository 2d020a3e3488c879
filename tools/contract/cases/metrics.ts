import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "../client.js";
import { fail, get, header, type Request } from "../message.js";
import type { Plan } from "../plan.js";
import { anyPath, type Check, MISSING } from "./case.js";

type Metrics = NonNullable<Plan["metrics"]>;

/** How long to wait for a second count: it comes with the first, or when the connection has closed. */
const SECOND_MS = 40;
/** How many clients make up values. */
const CLIENTS = 20;

const LABELS = String.raw`\{(?:[A-Za-z_]\w*="(?:[^"\\]|\\.)*",?)*\}`;
const VALUE = String.raw`[-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|\.\d+|inf|nan)`;
/** A sample of the text format, which may have a time and an exemplar. */
const SAMPLE = new RegExp(`^([a-z_:][\\w:]*)(${LABELS})? (${VALUE})(?: -?[\\d.]+)?(?: # .*)?$`, "i");

interface Sample {
  readonly name: string;
  readonly labels: string;
  readonly value: number;
}

/** What a Prometheus reads: each request is counted once, and clients cannot make series. */
export function metrics(plan: Plan): Check[] {
  const { metrics: read } = plan;
  if (read === undefined) return [];
  const list: Check[] = [
    {
      name: "the metrics are in the text format of Prometheus",
      async check(client) {
        if (read.path !== undefined) await isTyped(client, read.path);
        if ((await samplesOf(client, read)).length === 0)
          fail("Prometheus finds no sample in the metrics.", requestOf(read));
      },
    },
    {
      name: "clients cannot make series of the metrics with paths, hosts and headers",
      check: (client) => hasNoSeries(client, read, anyPath(plan)),
    },
  ];
  const once = (what: string, request: Request, waitMs?: number) => {
    list.push({
      name: `the metrics count ${what} once`,
      check: (client) => countsOnce(client, read, request, () => client.ask(request, waitMs)),
    });
  };
  if (plan.ok !== undefined) once(`GET ${plan.ok}`, get(plan.ok));
  once("a 404", get(MISSING));
  if (plan.protected) once("a 401", get(plan.protected.path));
  if (plan.failing) once(`GET ${plan.failing.path}, which fails,`, get(plan.failing.path));
  if (plan.slow) once(`GET ${plan.slow.path}, which is too slow,`, get(plan.slow.path), plan.slow.withinMs);
  const left = plan.slow?.path ?? plan.failingLate;
  if (left !== undefined) {
    const request = get(left);
    list.push({
      name: `the metrics count a client that leaves ${left} before its end once`,
      check: (client) => countsOnce(client, read, request, () => client.leave(client.text(request))),
    });
  }
  return list;
}

async function isTyped(client: Client, path: string): Promise<void> {
  const request = get(path);
  const answer = await client.ask(request);
  if (answer.status !== 200) fail(`Prometheus gets a ${answer.status}.`, request, answer);
  const type = header(answer, "Content-Type") ?? "";
  if (/^(?:text\/plain|application\/openmetrics-text)\b/i.test(type)) return;
  fail("Prometheus 3 refuses metrics of another type than text/plain or OpenMetrics.", request, answer);
}

/** The series that are made while clients send what they like: more than a few, or one with a client's text, is a failure. */
async function hasNoSeries(client: Client, read: Metrics, path: string): Promise<void> {
  const word = Array.from({ length: 12 }, () => String.fromCharCode(97 + Math.random() * 26)).join("");
  const made = (i: number): Request[] => {
    const text = word + String.fromCharCode(97 + i).repeat(2);
    const headers = {
      "User-Agent": text,
      Referer: `https://${text}.example/`,
      Origin: `https://${text}.example`,
      "X-Request-Id": text,
      "X-Forwarded-For": text,
      "X-Forwarded-Host": `${text}.example`,
    };
    const elsewhere = get(path, { ...headers, Host: `${text}.example` });
    return [get(`/${text}/${text}.php?${text}=1`, headers), get(`${path}?${text}`, headers), elsewhere];
  };
  const send = async (i: number) => {
    for (const request of made(i)) await client.ask(request);
  };
  await send(0); // an answer of each kind
  await settled(client, read);
  const before = labelSets(await samplesOf(client, read));
  for (let i = 1; i <= CLIENTS; i++) await send(i);
  await settled(client, read);
  const after = labelSets(await samplesOf(client, read));
  const [request] = made(1) as [Request];
  const copied = [...after].find((labels) => labels.toLowerCase().includes(word));
  if (copied !== undefined)
    fail(`Any client can make series: a label has what a client has sent: ${copied}.`, request);
  const added = after.size - before.size;
  if (added >= CLIENTS)
    fail(`Any client can make series: ${CLIENTS} clients have made ${added} sets of labels.`, request);
}

async function countsOnce(
  client: Client,
  read: Metrics,
  request: Request,
  act: () => Promise<unknown>,
): Promise<void> {
  const before = await settled(client, read);
  await act();
  const started = performance.now();
  let count = 0;
  while (count === 0 && performance.now() - started < client.timeoutMs) {
    await sleep(2);
    count = (await total(client, read)) - before;
  }
  await sleep(SECOND_MS);
  count = (await total(client, read)) - before;
  if (count === 0) fail(`A reader of the metrics sees nothing of this request in ${read.counter}.`, request);
  if (count > 1)
    fail(`A reader of the metrics sees this request ${count} times in ${read.counter}.`, request);
}

/** The count, once it does not change: connections of the case before may still add to it. */
async function settled(client: Client, read: Metrics): Promise<number> {
  for (let count = await total(client, read); ; ) {
    await sleep(SECOND_MS / 2);
    const now = await total(client, read);
    if (now === count) return count;
    count = now;
  }
}

/** How many requests were counted, without those for the metrics themselves. */
async function total(client: Client, read: Metrics): Promise<number> {
  let sum = 0;
  for (const { name, labels, value } of await samplesOf(client, read)) {
    const isOwn = read.path !== undefined && labels.includes(`="${read.path.split("?", 1)[0]}"`);
    if (name === read.counter && !isOwn) sum += value;
  }
  return sum;
}

/** The sets of labels; a histogram has one for all its buckets. */
function labelSets(samples: readonly Sample[]): Set<string> {
  return new Set(samples.map(({ labels }) => labels.replace(/\ble="[^"]*",?|,le="[^"]*"/, "")));
}

async function samplesOf(client: Client, read: Metrics): Promise<Sample[]> {
  const text: unknown =
    read.path === undefined ? await read.text!() : (await client.ask(requestOf(read))).body;
  if (typeof text !== "string") return fail("The metrics are no text.", requestOf(read));
  const list: Sample[] = [];
  for (const line of text.split("\n")) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const [, name, labels = "", value] = SAMPLE.exec(line) ?? [];
    if (name === undefined)
      return fail(`Prometheus cannot read this line of the metrics: ${line.slice(0, 80)}`, requestOf(read));
    list.push({ name, labels, value: Number(value) });
  }
  return list;
}

function requestOf({ path }: Metrics): Request {
  return get(path ?? "/metrics");
}
