import { header, members } from "../answer.js";
import { isExposed, whyUnreadable } from "../browser.js";
import { fail } from "../failure.js";
import type { CorsPlan, Plan } from "../plan.js";
import { anyPath, type Check, fromPage, MISSING, preflightOf, samples, strangers } from "./check.js";

/** Which pages can read which answers. */
export function cors(plan: Plan): Check[] {
  const list = [noCredentialsForAll(plan)];
  if (plan.cors === undefined) return list;
  const { allowed, refused, credentials, exposed } = plan.cors;

  for (const { what, request, waitMs } of samples(plan)) {
    list.push({
      name: `a page at ${allowed} can read ${what}`,
      async check(client) {
        const asked = fromPage(request, allowed);
        const answer = await client.ask(asked, waitMs);
        const why = whyUnreadable(answer, allowed, credentials);
        if (why === undefined) return;
        fail(
          `A page at ${allowed} could not read this ${answer.status}: ${why}. The browser would report a network error instead.`,
          asked,
          answer,
        );
      },
    });
    list.push({ name: `caches keep ${what} apart by origin`, check: varies(plan.cors, request, waitMs) });
  }
  if (refused !== undefined) {
    list.push({
      name: `a page at ${refused} can read nothing`,
      check: unreadable(plan, plan.cors, [refused]),
    });
    list.push({
      name: `a page at an origin that only resembles ${allowed} can read nothing`,
      check: unreadable(plan, plan.cors, strangers(plan.cors)),
    });
  }
  if (exposed.length > 0) {
    list.push({
      name: `a page at ${allowed} can see the headers ${exposed.join(", ")}`,
      async check(client) {
        const request = fromPage({ method: "GET", path: anyPath(plan), headers: {} }, allowed);
        const answer = await client.ask(request);
        const hidden = exposed.find((name) => !isExposed(answer, name, credentials));
        if (hidden === undefined) return;
        fail(
          `A script at ${allowed} would get null for ${hidden}: Access-Control-Expose-Headers does not name it.`,
          request,
          answer,
        );
      },
    });
  }
  return list;
}

/** Without `Vary: Origin`, a cache can send an answer to a page of another origin. */
function varies(cors: CorsPlan, request: Parameters<typeof fromPage>[0], waitMs?: number): Check["check"] {
  return async (client) => {
    const own = fromPage(request, cors.allowed);
    const read = await client.ask(own, waitMs);
    const allowedOrigin = header(read, "Access-Control-Allow-Origin");
    if (allowedOrigin === "*" || allowedOrigin === undefined) return;
    // An answer to a request without Origin is stored too, and must not be sent to a page of an origin.
    for (const [asked, given] of [[own, read] as const, [request, undefined] as const]) {
      const answer = given ?? (await client.ask(asked, waitMs));
      if (members(answer, "Vary").some((name) => name === "origin" || name === "*")) continue;
      const reader =
        asked === own ? "another origin's page" : `a page at ${cors.allowed}, which could not read it`;
      fail(`A cache may send this answer to ${reader}: it has no Vary: Origin.`, asked, answer);
    }
  };
}

function unreadable(plan: Plan, cors: CorsPlan, origins: string[]): Check["check"] {
  return async (client) => {
    for (const { what, request, waitMs } of samples(plan).filter(
      (sample) => sample.request.path !== plan.slow?.path,
    )) {
      for (const origin of origins) {
        const asked = fromPage(request, origin);
        const answer = await client.ask(asked, waitMs);
        if (whyUnreadable(answer, origin, cors.credentials) !== undefined) continue;
        fail(`A page at ${origin}, which may not, can read ${what}.`, asked, answer);
      }
    }
  };
}

/** If every origin is allowed with credentials, each page that a user opens can act as that user. */
function noCredentialsForAll(plan: Plan): Check {
  return {
    name: "credentials are not allowed to pages of every origin",
    async check(client) {
      const origin = "https://contract.example";
      const paths = new Set([anyPath(plan), MISSING]);
      const requests = [...paths].flatMap((path) => [
        fromPage({ method: "GET", path, headers: {} }, origin),
        preflightOf(path, origin, "PUT", []),
      ]);
      for (const request of requests) {
        const answer = await client.ask(request);
        if (header(answer, "Access-Control-Allow-Credentials") !== "true") continue;
        const allowed = header(answer, "Access-Control-Allow-Origin");
        if (allowed === origin) {
          fail("Any page on the web could act as the user that opens it, cookies and all.", request, answer);
        }
        if (allowed === "*") {
          fail(
            "The answer allows every origin and credentials, which no browser accepts: pages that send cookies get a network error.",
            request,
            answer,
          );
        }
      }
    },
  };
}
