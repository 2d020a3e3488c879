import { get } from "../client.js";
import { fail } from "../failure.js";
import type { Plan } from "../plan.js";
import { anyPath, type Check } from "./check.js";

/** How long to wait after the moment when the handler writes. */
const MARGIN_MS = 100;

/** A handler that takes longer than the app allows. */
export function slow(plan: Plan): Check[] {
  if (plan.slow === undefined) return [];
  const { path, withinMs, endsMs } = plan.slow;
  const request = get(path);
  const list: Check[] = [
    {
      name: `GET ${path} is answered in time, and not kept by a cache`,
      async check(client) {
        const answer = await client.ask(request, withinMs);
        if (answer.status !== plan.slow?.status) return; // another case reports it
        const kept = /(?:^|[\s,])(?:public|(?:s-maxage|max-age)="?[1-9])/i.exec(
          answer.headers.get("cache-control")?.join() ?? "",
        );
        if (kept === null) return;
        fail("A cache would send this answer to others when the app has recovered.", request, answer);
      },
    },
  ];
  if (endsMs === undefined) return list;
  list.push({
    name: `what GET ${path} writes after its answer does no harm`,
    async check(client) {
      const started = performance.now();
      const connection = client.connect();
      connection.write(client.text(request));
      const answer = await client.answerTo(request, connection, withinMs);
      const left = endsMs + MARGIN_MS - (performance.now() - started);
      const came = left > 0 && (await connection.anything(left));
      if (came && connection.rest !== "") {
        fail(
          "A client gets more after the answer, and takes it for the answer to its next request.",
          request,
          answer,
        );
      }
      const next = get(anyPath(plan));
      const alone = await client.ask(next);
      if (connection.isOver) return;
      connection.write(client.text(next));
      const following = await client.answerTo(next, connection);
      if (following.status === alone.status) return;
      fail(
        `The next request on the connection gets a ${following.status}, not the ${alone.status} that it gets alone.`,
        next,
        following,
      );
    },
  });
  return list;
}
