import { setTimeout as sleep } from "node:timers/promises";
import type { HeaderExpectation } from "../expectations.js";
import { type Answer, fail, get, header } from "../message.js";
import type { Plan } from "../plan.js";
import { anyPath, type Check, fromPage, judge, preflightOf, samples } from "./case.js";

/** The routes answer with the expected status: other cases rely on that. */
export function statuses(plan: Plan): Check[] {
  const list = samples(plan).map(({ what, request, isExpected, expected, waitMs }) => {
    const subject = request.path === plan.ok ? `GET ${request.path}` : what.replace(/^the \d+ of /, "");
    return judge(
      `${subject} is answered with ${expected}`,
      [request],
      ({ status }) => !isExpected(status) && `A client gets a ${status} where ${expected} was promised.`,
      waitMs,
    );
  });
  const { protected: guarded } = plan;
  if (guarded?.as !== undefined) {
    list.push(
      judge(
        `GET ${guarded.path} with credentials is answered with 2xx`,
        [get(guarded.path, guarded.as)],
        ({ status }) =>
          (status < 200 || status > 299) && `A user with the right credentials gets a ${status}.`,
      ),
    );
  }
  return list;
}

/** Headers on every answer, errors too. */
export function securityHeaders(plan: Plan): Check[] {
  const rules = plan.securityHeaders;
  if (rules.length === 0) return [];
  const wrong = (answer: Answer) => wrongHeader(rules, answer);
  const list = samples(plan).map(({ what, request, waitMs }) =>
    judge(`${what} has the security headers`, [request], wrong, waitMs),
  );
  if (plan.cors !== undefined) {
    const request = preflightOf(anyPath(plan), plan.cors.allowed, plan.cors.methods[0] ?? "GET", []);
    list.push(judge("the answer to a preflight has the security headers", [request], wrong));
  }
  return list;
}

function wrongHeader(rules: Plan["securityHeaders"], answer: Answer): string | undefined {
  for (const [name, expected] of rules) {
    const value = header(answer, name);
    if (isAsExpected(value, expected)) continue;
    if (expected === false) return `A browser sees ${name}, which no answer should have.`;
    if (value === undefined) return `This ${answer.status} has no ${name}.`;
    return `A browser reads ${name}: ${value}, where ${expected ?? "a value"} was promised.`;
  }
  return undefined;
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
