import { type Answer, header, members } from "../answer.js";
import { type Client, get } from "../client.js";
import type { HeaderBag } from "../expectations.js";
import { fail } from "../failure.js";
import type { Plan } from "../plan.js";
import type { Check } from "./check.js";

/** No user gets the answer for another one, whatever caches are in the app or in front of it. */
export function users(plan: Plan): Check[] {
  const list: Check[] = [];
  const { personal, protected: guarded } = plan;
  if (guarded?.as !== undefined) {
    const { path, as } = guarded;
    list.push({
      name: `what ${path} gives to a user is not given to the anonymous after`,
      async check(client) {
        const fresh = freshly(path);
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
  list.push(
    {
      name: `the first user's ${path} is not given to the second`,
      check: keepsApart(path, ann, bob, "another user"),
    },
    {
      name: `the second user's ${path} is not given to the first`,
      check: keepsApart(path, bob, ann, "another user"),
    },
    {
      name: `a user's ${path} is not given to the anonymous`,
      check: keepsApart(path, ann, anonymous, "somebody anonymous"),
    },
    {
      name: `the answer of ${path} to the anonymous is not given to a user`,
      check: keepsApart(path, anonymous, ann, "a user"),
    },
    {
      name: `caches on the way may not keep a user's ${path}`,
      check: (client) => isPrivate(client, path, ann),
    },
  );
  return list;
}

let count = 0;

/** Makes a new key for caches, so that a case begins with nothing stored. */
function freshly(path: string): string {
  const own = `contract=${Date.now().toString(36)}-${count++}`;
  return `${path}${path.includes("?") ? "&" : "?"}${own}`;
}

function keepsApart(path: string, first: HeaderBag, second: HeaderBag, who: string): Check["check"] {
  return async (client) => {
    const fresh = freshly(path);
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
  };
}

/** A cache in front of the app cannot be seen: the headers must forbid a shared cache to store this (RFC 9111 section 3). */
async function isPrivate(client: Client, path: string, as: HeaderBag): Promise<void> {
  const request = get(freshly(path), as);
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
