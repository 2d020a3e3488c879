import { setTimeout as sleep } from "node:timers/promises";
import { header, members } from "../answer.js";
import type { Client, Request } from "../client.js";
import { get } from "../client.js";
import { fail } from "../failure.js";
import type { Plan } from "../plan.js";
import type { Check } from "./check.js";

/** Refusals: what is refused, and that a refusal does not wait for the body of the request. */
export function refusals(plan: Plan): Check[] {
  const { protected: guarded, upload } = plan;
  const list: Check[] = [];
  if (guarded !== undefined) {
    const { path } = guarded;
    list.push(
      {
        name: `the 401 of ${path} has a challenge`,
        async check(client) {
          const answer = await client.ask(get(path));
          if (answer.status !== 401 || header(answer, "WWW-Authenticate") !== undefined) return;
          fail(
            "A client does not learn how to log in: a 401 must have WWW-Authenticate (RFC 9110 section 15.5.2).",
            get(path),
            answer,
          );
        },
      },
      {
        name: `the 401 of ${path} may not be kept by a cache`,
        async check(client) {
          const answer = await client.ask(get(path));
          const directives = members(answer, "Cache-Control");
          const isFresh = directives.some((name) => /^(?:public|(?:s-maxage|max-age)="?[1-9])/.test(name));
          if (!isFresh || directives.some((name) => /^(?:no-store|private|no-cache)$/.test(name))) return;
          fail("A cache would send this refusal to users who have logged in.", get(path), answer);
        },
      },
      {
        name: `${path} is refused without credentials, whatever the method`,
        async check(client) {
          for (const method of ["HEAD", "POST", "PUT", "PATCH", "DELETE"]) {
            const request = { method, path, headers: { "Content-Length": "0" } };
            const answer = await client.ask(request);
            if (answer.status >= 300) continue;
            fail(`${method} needs no credentials.`, request, answer);
          }
        },
      },
      {
        name: `${path} is refused with made-up credentials`,
        async check(client) {
          for (const Authorization of ["Bearer contract", "Basic Y29udHJhY3Q6Y29udHJhY3Q=", "Bearer", ":"]) {
            const request = get(path, { Authorization });
            const answer = await client.ask(request);
            if (answer.status >= 400 && answer.status < 500) continue;
            fail(`A request with made-up credentials is answered with ${answer.status}.`, request, answer);
          }
        },
      },
      {
        name: `the 401 of ${path} does not wait for the upload`,
        check: (client) => isEarly(client, { method: "POST", path, headers: {} }, 1_000_000, 401),
      },
    );
  }
  if (upload !== undefined) {
    const { method, path, headers, bytes, status } = upload;
    list.push({
      name: `the ${status} of ${method} ${path} does not wait for the upload`,
      check: (client) => isEarly(client, { method, path, headers }, bytes, status),
    });
    list.push({
      name: `a client that is still sending can read the ${status} of ${method} ${path}`,
      check: (client) => isReadable(client, { method, path, headers }, bytes),
    });
  }
  return list;
}

/** The upload stalls after its first byte: an app that waits for more does not answer. */
async function isEarly(client: Client, request: Request, bytes: number, status: number): Promise<void> {
  const connection = client.connect();
  connection.write(`${client.text(request, { "Content-Length": String(bytes) })}x`);
  const inVain = `A client that sends slowly is kept waiting, though a refusal need not read its ${bytes} bytes`;
  const answer = await client.answerTo(request, connection, client.timeoutMs, inVain);
  if (answer.status === status) return;
  fail(`An upload is answered with ${answer.status} where ${status} was promised.`, request, answer);
}

const PIECE = 100_000;

/**
 * The client reads after it has sent its data. If the server has closed the connection before, it answers these data with
 * a reset, and the client loses the answer (RFC 9112 section 9.6).
 */
async function isReadable(client: Client, request: Request, bytes: number): Promise<void> {
  const connection = client.connect();
  connection.hold();
  connection.write(client.text(request, { "Content-Length": String(bytes) }));
  for (let sent = 0; sent < Math.min(bytes, 4 * PIECE); sent += PIECE) {
    connection.write("x".repeat(Math.min(PIECE, bytes - sent)));
    await sleep(25); // for the answer, and for what the server does after it
  }
  connection.release();
  const answer = await connection.next(request.method).catch(() => "closed" as const);
  if (answer === "silent") fail("The client has sent its data, and gets no answer.", request);
  if (answer === "closed" || answer.end === "truncated") {
    fail(
      "A client that is still sending gets a reset instead of the answer: the server does not read on.",
      request,
    );
  }
}
