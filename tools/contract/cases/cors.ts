import { isExposed, whyNotSent, whyUnreadable } from "../browser.js";
import type { Client } from "../client.js";
import type { HeaderBag } from "../expectations.js";
import { fail, get, header, members } from "../message.js";
import type { CorsPlan, Plan } from "../plan.js";
import { anyPath, type Check, fromPage, MISSING, preflightOf, samples, strangers } from "./case.js";

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

/** Preflights: what browsers ask before a request that a form could not send. */
export function preflight(plan: Plan): Check[] {
  const { cors } = plan;
  if (cors === undefined) return [];
  const path = anyPath(plan);
  const list: Check[] = [
    {
      name: `a preflight from ${cors.allowed} is granted`,
      check: (client) => isGranted(client, cors, path),
    },
    {
      name: "caches keep the answers to preflights apart by origin",
      async check(client) {
        const request = preflightOf(path, cors.allowed, cors.methods[0] ?? "GET", cors.headers);
        const answer = await client.ask(request);
        const allowed = header(answer, "Access-Control-Allow-Origin");
        if (
          allowed === undefined ||
          allowed === "*" ||
          members(answer, "Vary").some((name) => name === "origin" || name === "*")
        )
          return;
        fail(
          "The answer depends on the origin, and does not say so: it has no Vary: Origin. A cache may give it to another origin's page.",
          request,
          answer,
        );
      },
    },
  ];
  const { ok, protected: guarded } = plan;
  if (ok !== undefined) {
    list.push({
      name: `the handler of ${ok} does not run for a preflight`,
      check: (client) => isNotHandled(client, cors, ok, {}),
    });
  }
  if (guarded !== undefined) {
    list.push({
      name: `a preflight to ${guarded.path} is granted, without credentials`,
      check: (client) => isGranted(client, cors, guarded.path),
    });
  }
  if (guarded?.as !== undefined) {
    const { path: own, as } = guarded;
    list.push({
      name: `a preflight to ${own} does not get past the check of credentials`,
      check: (client) => isNotHandled(client, cors, own, as),
    });
  }
  if (cors.refused !== undefined) {
    const { refused } = cors;
    list.push({
      name: `a preflight from ${refused} grants nothing`,
      check: (client) => grantsNothing(client, cors, path, [refused]),
    });
    list.push({
      name: `a preflight from an origin that only resembles ${cors.allowed} grants nothing`,
      check: (client) => grantsNothing(client, cors, path, strangers(cors)),
    });
  }
  return list;
}

async function isGranted(client: Client, cors: CorsPlan, path: string): Promise<void> {
  const { allowed: origin, headers, credentials } = cors;
  for (const method of cors.methods) {
    const request = preflightOf(path, origin, method, headers);
    const answer = await client.ask(request);
    const why = whyNotSent(answer, { origin, method, headers, credentials });
    if (why === undefined) continue;
    fail(
      `A browser would not send the ${method} of a page at ${origin}: the answer to its preflight does not allow it: ${why}.`,
      request,
      answer,
    );
  }
}

async function grantsNothing(client: Client, cors: CorsPlan, path: string, origins: string[]): Promise<void> {
  const { headers, credentials } = cors;
  for (const origin of origins) {
    for (const method of cors.methods) {
      const request = preflightOf(path, origin, method, headers);
      const answer = await client.ask(request);
      if (whyNotSent(answer, { origin, method, headers, credentials }) !== undefined) continue;
      fail(
        `A browser would send the ${method} of a page at ${origin}, which may not call the app.`,
        request,
        answer,
      );
    }
  }
}

/** Whether the handler ran can be told by its answer. */
async function isNotHandled(
  client: Client,
  cors: CorsPlan,
  path: string,
  credentials: HeaderBag,
): Promise<void> {
  const usual = await client.ask(get(path, credentials));
  if (usual.status < 200 || usual.status > 299 || usual.body === "") return;
  for (const origin of [cors.allowed, cors.refused ?? "https://contract.example"]) {
    const request = preflightOf(path, origin, "GET", []);
    const answer = await client.ask(request);
    if (answer.status > 299 || answer.body !== usual.body) continue;
    fail(
      "Anyone can get the answer of this route with a preflight: the handler ran for one.",
      request,
      answer,
    );
  }
}
