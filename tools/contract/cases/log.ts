import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "../client.js";
import type { LogExpectations } from "../expectations.js";
import { fail, get, type Request } from "../message.js";
import type { Plan } from "../plan.js";
import { anyPath, type Check, MISSING } from "./case.js";

/** How long to wait for a second line: it comes with the first, or when the connection has closed. */
const SECOND_MS = 40;

/** One line for each request, also for those that fail, and no credentials in it. */
export function log(plan: Plan): Check[] {
  if (plan.log === undefined) return [];
  const { lines } = plan.log;
  const list: Check[] = [];
  const once = (what: string, request: Request, waitMs?: number) => {
    list.push({
      name: `the log has one line for ${what}`,
      check: (client) => hasOne(client, lines, request, () => client.ask(request, waitMs)),
    });
  };
  if (plan.ok !== undefined) once(`GET ${plan.ok}`, get(plan.ok));
  once("a 404", get(MISSING));
  if (plan.protected) once("a 401", get(plan.protected.path));
  if (plan.failing) once(`GET ${plan.failing.path}, which fails`, get(plan.failing.path));
  if (plan.failingLate) once(`GET ${plan.failingLate}, which fails half-way`, get(plan.failingLate));
  if (plan.slow) once(`GET ${plan.slow.path}, which is too slow`, get(plan.slow.path), plan.slow.withinMs);

  const left = plan.slow?.path ?? plan.failingLate;
  if (left !== undefined) {
    const request = get(left);
    list.push({
      name: `the log has one line for a client that leaves ${left} before its end`,
      check: (client) => hasOne(client, lines, request, () => client.leave(client.text(request))),
    });
  }
  list.push({
    name: "the log has no credentials",
    async check(client) {
      const secret = `contract-${Math.random().toString(36).slice(2)}`;
      const request = get(`${anyPath(plan)}?access_token=${secret}`, {
        Authorization: `Bearer ${secret}`,
        Cookie: `session=${secret}`,
        "X-Api-Key": secret,
      });
      const before = await settled(lines);
      await client.ask(request);
      await waitForLine(client, lines, before);
      const written = (await lines())
        .slice(before)
        .map((line) => (typeof line === "string" ? line : JSON.stringify(line)));
      if (!written.some((line) => line?.includes(secret))) return;
      fail("Readers of the log can act as the user: it contains the credentials of the request.", request);
    },
  });
  return list;
}

async function hasOne(
  client: Client,
  lines: LogExpectations["lines"],
  request: Request,
  act: () => Promise<unknown>,
): Promise<void> {
  const before = await settled(lines);
  await act();
  await waitForLine(client, lines, before);
  await sleep(SECOND_MS);
  const count = (await lines()).length - before;
  if (count === 0) fail("A reader of the log sees nothing of this request.", request);
  if (count > 1) fail(`A reader of the log sees this request ${count} times.`, request);
}

/** Waits until no more lines come: connections of the case before may still write one. */
async function settled(lines: LogExpectations["lines"]): Promise<number> {
  for (let count = (await lines()).length; ; ) {
    await sleep(SECOND_MS / 2);
    const now = (await lines()).length;
    if (now === count) return count;
    count = now;
  }
}

/** The client may have the answer before its line is written. */
async function waitForLine(client: Client, lines: LogExpectations["lines"], before: number): Promise<void> {
  const started = performance.now();
  while ((await lines()).length === before && performance.now() - started < client.timeoutMs) await sleep(2);
}
