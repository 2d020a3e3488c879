import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "../client.js";
import { type Answer, fail, get, header, members, type Request } from "../message.js";
import type { Plan } from "../plan.js";
import type { Check } from "./case.js";

type Busy = NonNullable<Plan["busy"]>;

/** How many requests more than the app serves at once. */
const MORE = 5;
/** If the machine stops for a moment, the first requests have ended when the last ones come. */
const TRIES = 5;
const PAUSE_MS = 20;

/** An app with a limit of requests at once refuses the others at once, so that it serves those that it takes. */
export function loadShed({ busy }: Plan): Check[] {
  if (busy === undefined) return [];
  const { path, limit, live } = busy;
  const request = requestOf(busy);
  const list: Check[] = [
    {
      name: `GET ${path} refuses with 503 what is more than ${limit} at once`,
      async check(client) {
        for (const answer of await overload(client, busy)) {
          if (isServed(answer) || answer.status === 503) continue;
          fail(`A client gets a ${answer.status} from a busy app, not a 503.`, request, answer);
        }
      },
    },
    {
      name: `the 503 of GET ${path} says when to come back, and may not be kept by a cache`,
      async check(client) {
        for (const answer of await overload(client, busy)) {
          if (answer.status !== 503) continue;
          if (!isWait(header(answer, "Retry-After")))
            fail("Clients come back at once: Retry-After must be a number of seconds.", request, answer);
          if (!members(answer, "Cache-Control").includes("no-store"))
            fail("A cache on the way may keep the refusal: Cache-Control must be no-store.", request, answer);
        }
      },
    },
    {
      name: `GET ${path} serves ${limit} at once again, after it was busy`,
      async check(client) {
        await overload(client, busy);
        await servesAll(client, busy, "it was busy");
      },
    },
    {
      name: `GET ${path} serves ${limit} at once again, after clients have left it`,
      async check(client) {
        await Promise.all(Array.from({ length: limit }, () => client.leave(client.text(request))));
        await servesAll(client, busy, `${limit} clients have left`);
      },
    },
  ];
  if (live === undefined) return list;
  list.push({
    name: `GET ${live} is answered while GET ${path} is refused`,
    async check(client) {
      let probe: Promise<Answer> | undefined;
      const onRefused = () => {
        probe ??= client.ask(get(live));
        probe.catch(() => {}); // if a request of the load fails first, nothing awaits the probe
      };
      await overload(client, busy, onRefused);
      const answer = await probe;
      if (answer === undefined || isServed(answer)) return;
      fail(
        `An orchestrator restarts an app that is only busy: the probe gets a ${answer.status}.`,
        get(live),
        answer,
      );
    },
  });
  return list;
}

/** Sends more requests at once than the app serves. Returns the answers; none of them a 503 is a failure. */
async function overload(client: Client, busy: Busy, onRefused = () => {}): Promise<Answer[]> {
  const count = busy.limit + busy.queue + MORE;
  const request = requestOf(busy);
  const started = performance.now();
  for (let tries = 1; ; tries++) {
    const answers = await Promise.all(
      Array.from({ length: count }, async () => {
        const answer = await client.ask(request);
        if (answer.status === 503) onRefused();
        return answer;
      }),
    );
    if (answers.some(({ status }) => status === 503)) return answers;
    if (tries < TRIES && performance.now() - started < client.timeoutMs) continue;
    const { status } = answers[0]!;
    fail(
      `A busy app lets everybody wait: ${count} requests at once, and none gets a 503, but a ${status}.`,
      request,
    );
  }
}

/** The app may see later than the client that the client has left. */
async function servesAll(client: Client, busy: Busy, after: string): Promise<void> {
  const started = performance.now();
  for (;;) {
    const answers = await Promise.all(Array.from({ length: busy.limit }, () => client.ask(requestOf(busy))));
    const served = answers.filter(isServed).length;
    if (served === busy.limit) return;
    if (performance.now() - started < client.timeoutMs) {
      await sleep(PAUSE_MS);
      continue;
    }
    fail(`After ${after}, of ${busy.limit} requests at once only ${served} are served.`, requestOf(busy));
  }
}

function requestOf({ path, headers }: Busy): Request {
  return get(path, headers);
}

function isServed({ status }: Answer): boolean {
  return status >= 200 && status < 400;
}

/** Seconds, or a date (RFC 9110, 10.2.3). */
function isWait(value: string | undefined): boolean {
  return value !== undefined && (/^[1-9]\d*$/.test(value) || /GMT$/.test(value));
}
