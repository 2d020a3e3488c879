import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "../client.js";
import type { HeaderBag } from "../expectations.js";
import { type Answer, fail, get, header, members, type Request } from "../message.js";
import type { Plan } from "../plan.js";
import { type Check, judge } from "./case.js";

const UNSAFE = ["HEAD", "POST", "PUT", "PATCH", "DELETE"];
const MADE_UP = ["Bearer contract", "Basic Y29udHJhY3Q6Y29udHJhY3Q=", "Bearer", ":"];

/** Refusals: what is refused, and that a refusal does not wait for the body of the request. */
export function refusals(plan: Plan): Check[] {
  const { protected: guarded, upload } = plan;
  const list: Check[] = [];
  if (guarded !== undefined) {
    const { path } = guarded;
    list.push(
      judge(
        `the 401 of ${path} has a challenge`,
        [get(path)],
        (answer) =>
          answer.status === 401 &&
          header(answer, "WWW-Authenticate") === undefined &&
          "A client does not learn how to log in: a 401 must have WWW-Authenticate (RFC 9110 section 15.5.2).",
      ),
      judge(`the 401 of ${path} may not be kept by a cache`, [get(path)], (answer) => {
        const directives = members(answer, "Cache-Control");
        const isFresh = directives.some((name) => /^(?:public|(?:s-maxage|max-age)="?[1-9])/.test(name));
        if (!isFresh || directives.some((name) => /^(?:no-store|private|no-cache)$/.test(name))) return;
        return "A cache would send this refusal to users who have logged in.";
      }),
      judge(
        `${path} is refused without credentials, whatever the method`,
        UNSAFE.map((method) => ({ method, path, headers: { "Content-Length": "0" } })),
        (answer, { method }) => answer.status < 300 && `${method} needs no credentials.`,
      ),
      judge(
        `${path} is refused with made-up credentials`,
        MADE_UP.map((Authorization) => get(path, { Authorization })),
        ({ status }) =>
          (status < 400 || status > 499) && `A request with made-up credentials is answered with ${status}.`,
      ),
      {
        name: `the 401 of ${path} does not wait for the upload`,
        check: (client) => isEarly(client, { method: "POST", path, headers: {} }, 1_000_000, 401),
      },
    );
  }
  if (upload !== undefined) {
    const { method, path, headers, bytes, status } = upload;
    list.push(
      {
        name: `the ${status} of ${method} ${path} does not wait for the upload`,
        check: (client) => isEarly(client, { method, path, headers }, bytes, status),
      },
      {
        name: `a client that is still sending can read the ${status} of ${method} ${path}`,
        check: (client) => isReadable(client, { method, path, headers }, bytes),
      },
    );
  }
  return list;
}

/** The upload stalls after its first byte: an app that waits for more does not answer. */
async function isEarly(client: Client, request: Request, bytes: number, status: number): Promise<void> {
  const connection = client.connect();
  connection.write(`${client.text(request, { "Content-Length": String(bytes) })}x`);
  const noAnswer = `A client that sends slowly is kept waiting, though a refusal need not read its ${bytes} bytes`;
  const answer = await client.answerTo(request, connection, client.timeoutMs, noAnswer);
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
  if (answer !== "closed" && answer.end !== "truncated") return;
  fail(
    "A client that is still sending gets a reset instead of the answer: the server does not read on.",
    request,
  );
}

/** No user gets the answer for another one, whatever caches are in the app or in front of it. */
export function users(plan: Plan): Check[] {
  const list: Check[] = [];
  const { personal, protected: guarded } = plan;
  if (guarded?.as !== undefined) {
    const { path, as } = guarded;
    list.push({
      name: `what ${path} gives to a user is not given to the anonymous after`,
      async check(client) {
        const fresh = withFreshKey(path);
        const own = await client.ask(get(fresh, as));
        const answer = await client.ask(get(fresh));
        if (own.status > 299 || answer.status >= 300) return;
        fail(
          "A request without credentials is let in, because one with credentials was sent before.",
          get(fresh),
          answer,
        );
      },
    });
  }
  if (personal === undefined) return list;
  const { path, as } = personal;
  const [ann, bob] = as;
  const anonymous: HeaderBag = {};
  const separate = (name: string, first: HeaderBag, second: HeaderBag, who: string): Check => ({
    name,
    check: (client) => areSeparate(client, path, first, second, who),
  });
  list.push(
    separate(`the first user's ${path} is not given to the second`, ann, bob, "another user"),
    separate(`the second user's ${path} is not given to the first`, bob, ann, "another user"),
    separate(`a user's ${path} is not given to the anonymous`, ann, anonymous, "somebody anonymous"),
    separate(`the answer of ${path} to the anonymous is not given to a user`, anonymous, ann, "a user"),
    {
      name: `caches on the way may not keep a user's ${path}`,
      check: (client) => isPrivate(client, path, ann),
    },
  );
  return list;
}

let count = 0;

/** Makes a new key for caches, so that a case begins with nothing stored. */
function withFreshKey(path: string): string {
  const own = `contract=${Date.now().toString(36)}-${count++}`;
  return `${path}${path.includes("?") ? "&" : "?"}${own}`;
}

async function areSeparate(
  client: Client,
  path: string,
  first: HeaderBag,
  second: HeaderBag,
  who: string,
): Promise<void> {
  const fresh = withFreshKey(path);
  const given = await client.ask(get(fresh, first));
  const request = get(fresh, second);
  const answer = await client.ask(request);
  const cookies = answer.headers.get("set-cookie") ?? [];
  if (cookies.some((cookie) => given.headers.get("set-cookie")?.includes(cookie))) {
    fail(`A cookie that was set for one is set for ${who}, who then acts as the first.`, request, answer);
  }
  // Two refusals may be equal.
  const isRefusal = given.status >= 400 && answer.status >= 400;
  if (isRefusal || given.body === "" || answer.body !== given.body) return;
  fail(`What was made for one is shown to ${who}: the two answers are the same.`, request, answer);
}

/** A cache in front of the app cannot be seen: the headers must forbid a shared cache to store this (RFC 9111 section 3). */
async function isPrivate(client: Client, path: string, as: HeaderBag): Promise<void> {
  const request = get(withFreshKey(path), as);
  const answer = await client.ask(request);
  const directives = members(answer, "Cache-Control");
  const has = (pattern: RegExp) => directives.some((directive) => pattern.test(directive));
  if (has(/^(?:no-store|private)$/) || variesBy(answer, as)) return;
  const isForAll = has(/^(?:public|s-maxage="?[1-9])/);
  const isFresh = has(/^max-age="?[1-9]/) || Date.parse(header(answer, "Expires") ?? "") > Date.now();
  const isGuarded = Object.keys(as).some((name) => name.toLowerCase() === "authorization");
  if (!isForAll && (!isFresh || isGuarded)) return;
  fail(
    "A cache between the app and its users may store this, and send it to others: it should be private.",
    request,
    answer,
  );
}

function variesBy(answer: Answer, as: HeaderBag): boolean {
  const vary = members(answer, "Vary");
  return vary.includes("*") || Object.keys(as).every((name) => vary.includes(name.toLowerCase()));
}
