import { get } from "../client.js";
import { fail } from "../failure.js";
import type { Plan } from "../plan.js";
import { anyPath, type Check } from "./check.js";

/** Clients that close their connection early. */
export function aborts(plan: Plan): Check[] {
  const path = anyPath(plan);
  const next = get(path);
  const list: Check[] = [
    {
      name: "a client that leaves in the middle of its upload does not stop the server",
      async check(client) {
        const before = await client.ask(next);
        const head = { method: "POST", path, headers: { "Content-Type": "application/json" } };
        await client.leave(`${client.text(head, { "Content-Length": "1000" })}{"half":`);
        const after = await client.ask(next);
        if (after.status === before.status) return;
        fail(`The next client gets a ${after.status}, after one has left.`, next, after);
      },
    },
  ];
  const waiting = plan.slow?.path ?? plan.failingLate;
  if (waiting !== undefined) {
    list.push({
      name: `a client that leaves ${waiting} before its end does not stop the server`,
      async check(client) {
        const before = await client.ask(next);
        await client.leave(client.text(get(waiting)));
        const after = await client.ask(next);
        if (after.status === before.status) return;
        fail(`The next client gets a ${after.status}, after one has left.`, next, after);
      },
    });
  }
  return list;
}
