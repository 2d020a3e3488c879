import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "../client.js";
import { fail, get, members, type Request } from "../message.js";
import type { Plan } from "../plan.js";
import { anyPath, type Check, judge, MISSING } from "./case.js";

/** How long to wait for bytes after an answer: they come at once, or not at all. */
const STRAY_MS = 50;

/** What clients see if a handler fails. */
export function errors(plan: Plan): Check[] {
  const { failing, failingLate } = plan;
  const next = get(anyPath(plan));
  const list: Check[] = [oneEach("an unknown path", get(MISSING), next)];
  if (failing !== undefined) list.push(oneEach(`GET ${failing.path}`, get(failing.path), next));
  if (failingLate !== undefined) {
    list.push(
      judge(
        `a client can see that the answer of ${failingLate} is not whole`,
        [get(failingLate)],
        (answer) => {
          if (answer.status >= 500 || answer.end === "truncated") return;
          const how = answer.end === "whole" ? "a proper end" : "no length, and a connection closed as usual";
          return `A client takes half an answer for all of it: the handler failed, and the body has ${how}.`;
        },
      ),
    );
  }
  const failures = [failing?.path, failingLate].filter((path) => path !== undefined);
  if (failures.length > 0) {
    list.push({
      name: "the server goes on after an error",
      async check(client) {
        for (const path of failures) {
          await client.ask(get(path));
          await client.ask(next);
        }
      },
    });
  }
  return list;
}

/** Sends two requests in one packet: each must get one answer, or the first one and the connection ends. */
function oneEach(what: string, first: Request, second: Request): Check {
  return {
    name: `${what} gets exactly one answer, and the next request its own`,
    async check(client) {
      const alone = await client.ask(second);
      const connection = client.connect();
      connection.write(client.text(first) + client.text(second));
      const answer = await client.answerTo(first, connection);
      const following = await nextOrEnd(client, connection, second);
      if (following === "closed") return;
      if (following.status !== alone.status) {
        fail(
          `A client takes the rest of one answer for the answer to its next request: it got a ${following.status}, and asked alone a ${alone.status}. (The answer before: ${answer.status}.)`,
          second,
          following,
        );
      }
      await sleep(STRAY_MS);
      if (connection.rest === "") return;
      fail(
        `A client got two answers, and then more: ${JSON.stringify(connection.rest.slice(0, 40))}.`,
        second,
        following,
      );
    },
  };
}

async function nextOrEnd(client: Client, connection: ReturnType<Client["connect"]>, request: Request) {
  let answer: Awaited<ReturnType<typeof connection.next>>;
  try {
    answer = await connection.next(request.method);
  } catch (error) {
    return fail(`What follows the first answer is no answer. ${(error as Error).message}.`, request);
  }
  if (answer !== "silent") {
    if (answer === "closed" && connection.rest !== "") {
      fail("What follows the first answer is a part of one.", request);
    }
    return answer;
  }
  return fail(
    `The client gets no answer: after the first one the connection stays open, and the next request has none after ${client.timeoutMs} ms.`,
    request,
  );
}

/** Clients that close their connection early. */
export function aborts(plan: Plan): Check[] {
  const path = anyPath(plan);
  const next = get(path);
  const leaving = (name: string, bytes: (client: Client) => string): Check => ({
    name,
    async check(client) {
      const before = await client.ask(next);
      await client.leave(bytes(client));
      const after = await client.ask(next);
      if (after.status === before.status) return;
      fail(`The next client gets a ${after.status}, after one has left.`, next, after);
    },
  });
  const upload = { method: "POST", path, headers: { "Content-Type": "application/json" } };
  const list = [
    leaving(
      "a client that leaves in the middle of its upload does not stop the server",
      (client) => `${client.text(upload, { "Content-Length": "1000" })}{"half":`,
    ),
  ];
  const waiting = plan.slow?.path ?? plan.failingLate;
  if (waiting !== undefined) {
    list.push(
      leaving(`a client that leaves ${waiting} before its end does not stop the server`, (client) =>
        client.text(get(waiting)),
      ),
    );
  }
  return list;
}

/** How long to wait after the moment when the handler writes. */
const MARGIN_MS = 100;

/** A handler that takes longer than the app allows. */
export function slow(plan: Plan): Check[] {
  if (plan.slow === undefined) return [];
  const { path, status, withinMs, endsMs } = plan.slow;
  const request = get(path);
  const list = [
    judge(
      `GET ${path} is answered in time, and not kept by a cache`,
      [request],
      (answer) =>
        answer.status === status && // another case reports another status
        members(answer, "Cache-Control").some((one) =>
          /^(?:public|(?:s-maxage|max-age)="?[1-9])/.test(one),
        ) &&
        "A cache would send this answer to others when the app has recovered.",
      withinMs,
    ),
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
