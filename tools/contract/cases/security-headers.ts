import { type Answer, header } from "../answer.js";
import type { Request } from "../client.js";
import type { HeaderExpectation } from "../expectations.js";
import { fail } from "../failure.js";
import type { Plan } from "../plan.js";
import { anyPath, type Check, preflightOf, samples } from "./check.js";

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
