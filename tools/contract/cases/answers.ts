import { setTimeout as sleep } from "node:timers/promises";
import type { HeaderExpectation } from "../expectations.js";
import { type Answer, fail, get, header, type Request } from "../message.js";
import type { Plan } from "../plan.js";
import { anyPath, type Check, fromPage, preflightOf, samples } from "./case.js";

/** The routes answer with the expected status: other cases rely on that. */
export function statuses(plan: Plan): Check[] {
  const list = samples(plan).map(({ what, request, isExpected, expected, waitMs }): Check => {
    const subject = request.path === plan.ok ? `GET ${request.path}` : what.replace(/^the \d+ of /, "");
    return {
      name: `${subject} is answered with ${expected}`,
      async check(client) {
        const answer = await client.ask(request, waitMs);
        if (isExpected(answer.status)) return;
        fail(`A client gets a ${answer.status} where ${expected} was promised.`, request, answer);
      },
    };
  });
  const { protected: guarded } = plan;
  if (guarded?.as !== undefined) {
    const request = { method: "GET", path: guarded.path, headers: guarded.as };
    list.push({
      name: `GET ${guarded.path} with credentials is answered with 2xx`,
      async check(client) {
        const answer = await client.ask(request);
        if (answer.status >= 200 && answer.status < 300) return;
        fail(`A user with the right credentials gets a ${answer.status}.`, request, answer);
      },
    });
  }
  return list;
}

/** Headers on every answer, errors too. */
export function securityHeaders(plan: Plan): Check[] {
  const rules = plan.securityHeaders;
  if (rules.length === 0) return [];
  const list = samples(plan).map(({ what, request, waitMs }) => ({
    name: `${what} has the security headers`,
    async check(client) {
      hasAll(rules, request, await client.ask(request, waitMs));
    },
  })) as Check[];
  if (plan.cors !== undefined) {
    const request = preflightOf(anyPath(plan), plan.cors.allowed, plan.cors.methods[0] ?? "GET", []);
    list.push({
      name: "the answer to a preflight has the security headers",
      check: async (client) => hasAll(rules, request, await client.ask(request)),
    });
  }
  return list;
}

function hasAll(rules: Plan["securityHeaders"], request: Request, answer: Answer): void {
  for (const [name, expected] of rules) {
    const value = header(answer, name);
    if (isAsExpected(value, expected)) continue;
    if (expected === false) fail(`A browser sees ${name}, which no answer should have.`, request, answer);
    if (value === undefined) {
      fail(`This ${answer.status} has no ${name}.`, request, answer);
    }
    const wanted = expected === undefined ? "a value" : String(expected);
    fail(`A browser reads ${name}: ${value}, where ${wanted} was promised.`, request, answer);
  }
}

function isAsExpected(value: string | undefined, expected: HeaderExpectation | undefined): boolean {
  if (expected === false) return value === undefined;
  if (value === undefined || value === "") return false;
  if (expected === undefined) return true;
  if (typeof expected === "string") return value === expected;
  expected.lastIndex = 0; // a RegExp with /g remembers its position
  return expected.test(value);
}

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
