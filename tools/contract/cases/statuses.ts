import { fail } from "../failure.js";
import type { Plan } from "../plan.js";
import { type Check, samples } from "./check.js";

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
