import type { Client } from "../client.js";
import { type Answer, fail, members, type Request } from "../message.js";
import type { Plan } from "../plan.js";
import type { Check } from "./case.js";

type Limited = NonNullable<Plan["limited"]>;
type Form = "known" | "chunked";

/** A body over the limit is refused before its end, whether its length is declared or not; one at the limit is not. */
export function bodyLimit({ limited }: Plan): Check[] {
  if (limited === undefined) return [];
  const { method, path, limit } = limited;
  const refuses = `${method} ${path} refuses a body of more than ${limit} bytes with 413`;
  return [
    { name: refuses, check: (client) => isRefused(client, limited, "known") },
    { name: `${refuses}, also if it is chunked`, check: (client) => isRefused(client, limited, "chunked") },
    {
      name: `${method} ${path} does not refuse a body of ${limit} bytes with 413`,
      async check(client) {
        await isTaken(client, limited, "known");
        await isTaken(client, limited, "chunked");
      },
    },
  ];
}

/** The body goes one byte over the limit, and then stalls: an app that waits for its end does not answer. */
async function isRefused(client: Client, limited: Limited, form: Form): Promise<void> {
  const { limit } = limited;
  const request = requestOf(limited, form, limit + 1);
  const connection = client.connect();
  connection.write(client.text(request));
  // A declared length says enough.
  await sendBody(connection, form, form === "known" ? 1 : limit + 1);
  const noAnswer = `A client sends more than ${limit} bytes, and the app waits for more`;
  const answer = await client.answerTo(request, connection, client.timeoutMs, noAnswer);
  if (answer.status !== 413) {
    const length = form === "known" ? "that declares its length" : "that does not declare its length";
    fail(
      `A body of ${limit + 1} bytes ${length} is answered with ${answer.status}, not 413.`,
      request,
      answer,
    );
  }
  if (members(answer, "Connection").includes("close")) return;
  fail(
    "The answer does not say that the connection closes (Connection: close): the client would send the rest of a body that nobody reads before its next request.",
    request,
    answer,
  );
}

async function isTaken(client: Client, limited: Limited, form: Form): Promise<void> {
  const { limit } = limited;
  const request = requestOf(limited, form, limit);
  const connection = client.connect();
  connection.write(client.text(request));
  await sendBody(connection, form, limit);
  if (form === "chunked") connection.write("0\r\n\r\n");
  const answer: Answer = await client.answerTo(request, connection);
  if (answer.status === 413) fail(`A body of exactly ${limit} bytes is refused.`, request, answer);
}

function requestOf({ method, path, headers }: Limited, form: Form, bytes: number): Request {
  const length = form === "known" ? { "Content-Length": String(bytes) } : { "Transfer-Encoding": "chunked" };
  return { method, path, headers: { ...headers, ...length } };
}

const PIECE = 65_536;

/** Sends the bytes, as long as there is no answer. */
async function sendBody(connection: ReturnType<Client["connect"]>, form: Form, bytes: number): Promise<void> {
  for (let sent = 0; sent < bytes; sent += PIECE) {
    const piece = "x".repeat(Math.min(PIECE, bytes - sent));
    connection.write(form === "known" ? piece : `${piece.length.toString(16)}\r\n${piece}\r\n`);
    if (await connection.anything(0)) return;
  }
}
