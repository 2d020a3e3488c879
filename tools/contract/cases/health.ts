import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "../client.js";
import { type Answer, fail, get, header, members } from "../message.js";
import type { Plan } from "../plan.js";
import { type Check, judge } from "./case.js";

/** As probes of Kubernetes name it: the address of the pod. */
const PROBED_HOST = "10.244.1.17:8080";
const PAUSE_MS = 20;

/** The answer to probes: an orchestrator decides by it whether clients are sent here. */
export function health({ health: probed }: Plan): Check[] {
  if (probed === undefined) return [];
  const { path, status, details } = probed;
  const request = get(path);
  const list: Check[] = [
    {
      name: `GET ${path} is answered with ${status}, in JSON`,
      async check(client) {
        const answer = await ready(client, path, status);
        if (answer.status !== status)
          fail(`A probe gets a ${answer.status} where ${status} was promised.`, request, answer);
        const isTyped = /^application\/(?:[\w.-]+\+)?json\b/i.test(header(answer, "Content-Type") ?? "");
        if (isTyped && bodyOf(answer) !== undefined) return;
        fail("A reader of the answer expects an object in JSON, with its type.", request, answer);
      },
    },
    judge(
      `the answer of GET ${path} may not be kept by a cache`,
      [request],
      (answer) =>
        !members(answer, "Cache-Control").includes("no-store") &&
        "A cache on the way may answer probes with what was true before: Cache-Control must be no-store.",
    ),
    {
      name: `HEAD ${path} is answered as GET, without a body`,
      async check(client) {
        await isSame(client, path, { ...request, method: "HEAD" }, "A probe with HEAD");
      },
    },
    {
      name: `GET ${path} is answered to a probe that has no credentials, and names another host`,
      async check(client) {
        await isSame(client, path, get(path, { Host: PROBED_HOST }), "A probe that names the pod's address");
      },
    },
  ];
  if (details) return list;
  list.push(
    judge(`GET ${path} shows nothing of what the app depends on`, [request], (answer) => {
      const names = Object.keys(bodyOf(answer) ?? {}).filter((name) => name !== "status");
      return names.length > 0 && `Everyone can read more than the status: ${names.join(", ")}.`;
    }),
  );
  return list;
}

/** The answer once it has the status: checks that run in the background have no result at first. */
async function ready(client: Client, path: string, status: number): Promise<Answer> {
  const started = performance.now();
  for (;;) {
    const answer = await client.ask(get(path));
    if (answer.status === status || performance.now() - started > client.timeoutMs) return answer;
    await sleep(PAUSE_MS);
  }
}

/** The state of the app may change between two requests, so GET is asked for before and after. */
async function isSame(client: Client, path: string, request: ReturnType<typeof get>, who: string) {
  const before = await client.ask(get(path));
  const answer = await client.ask(request);
  const after = await client.ask(get(path));
  if (answer.status === before.status || answer.status === after.status) return;
  fail(`${who} gets a ${answer.status}, others a ${after.status}.`, request, answer);
}

function bodyOf({ body }: Answer): object | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
