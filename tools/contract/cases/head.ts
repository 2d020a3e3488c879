import { setTimeout as sleep } from "node:timers/promises";
import { get } from "../client.js";
import { fail } from "../failure.js";
import type { Plan } from "../plan.js";
import { type Check, fromPage } from "./check.js";

/** Headers of the body: a HEAD may omit them (RFC 9110 section 9.3.2). */
const OF_BODY = ["content-length", "transfer-encoding", "etag"];
/** Headers that say when and how the answer was made. */
const OF_MOMENT = ["age", "cache-status", "date", "expires", "server-timing", "x-cache"];
const STRAY_MS = 50;

export function head(plan: Plan): Check[] {
  const { ok } = plan;
  if (ok === undefined) return [];
  const read = plan.cors === undefined ? get(ok) : fromPage(get(ok), plan.cors.allowed);
  const request = { ...read, method: "HEAD" };
  return [
    {
      name: `HEAD ${ok} has the headers of GET`,
      async check(client) {
        const [first, second] = [await client.ask(read), await client.ask(read)];
        const answer = await client.ask(request);
        if (answer.status !== second.status) {
          fail(`HEAD is answered with ${answer.status}, GET with ${second.status}.`, request, answer);
        }
        for (const [name, values] of second.headers) {
          // A header that differs between two GETs (a date, an id) may differ here too.
          if (OF_MOMENT.includes(name) || first.headers.get(name)?.join() !== values.join()) continue;
          const given = answer.headers.get(name);
          if (given?.join() === values.join() || (given === undefined && OF_BODY.includes(name))) continue;
          const how = given === undefined ? "HEAD has none" : "HEAD has another value";
          fail(`HEAD has other headers than GET: GET has ${name}, ${how}.`, request, answer);
        }
      },
    },
    {
      name: `HEAD ${ok} has no body`,
      async check(client) {
        const connection = client.connect();
        connection.write(client.text(request));
        const answer = await client.answerTo(request, connection);
        await sleep(STRAY_MS);
        if (connection.rest === "") return;
        fail(
          "A client takes the body for the answer to its next request: HEAD must have none.",
          request,
          answer,
        );
      },
    },
  ];
}
