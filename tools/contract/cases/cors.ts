import { isExposed, whyNotSent, whyUnreadable } from "../browser.js";
import type { Client } from "../client.js";
import type { HeaderBag } from "../expectations.js";
import { type Answer, fail, get, header, members, type Request } from "../message.js";
import type { CorsPlan, Plan } from "../plan.js";
import { anyPath, type Check, fromPage, judge, MISSING, preflightOf, samples, strangers } from "./case.js";

/** Which pages can read which answers. */
export function cors(plan: Plan): Check[] {
  const list = [noCredentialsForAll(plan)];
  if (plan.cors === undefined) return list;
  const { allowed, refused, credentials, exposed } = plan.cors;

  for (const { what, request, waitMs } of samples(plan)) {
    list.push(
      judge(
        `a page at ${allowed} can read ${what}`,
        [fromPage(request, allowed)],
        (answer) => {
          const why = whyUnreadable(answer, allowed, credentials);
          return (
            why &&
            `A page at ${allowed} could not read this ${answer.status}: ${why}. The browser would report a network error instead.`
          );
        },
        waitMs,
      ),
    );
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
    list.push(
      judge(
        `a page at ${allowed} can see the headers ${exposed.join(", ")}`,
        [fromPage(get(anyPath(plan)), allowed)],
        (answer) => {
          const hidden = exposed.find((name) => !isExposed(answer, name, credentials));
          return (
            hidden &&
            `A script at ${allowed} would get null for ${hidden}: Access-Control-Expose-Headers does not name it.`
          );
        },
      ),
    );
  }
  return list;
}

/** Without `Vary: Origin`, a cache can send an answer to a page of another origin. */
function varies(cors: CorsPlan, request: Request, waitMs?: number): Check["check"] {
  return async (client) => {
    const own = fromPage(request, cors.allowed);
    const read = await client.ask(own, waitMs);
    const allowedOrigin = header(read, "Access-Control-Allow-Origin");
    if (allowedOrigin === "*" || allowedOrigin === undefined) return;
    // An answer to a request without Origin is stored too, and must not be sent to a page of an origin.
    for (const [asked, given] of [[own, read] as const, [request, undefined] as const]) {
      const answer = given ?? (await client.ask(asked, waitMs));
      if (variesByOrigin(answer)) continue;
      const reader =
        asked === own ? "another origin's page" : `a page at ${cors.allowed}, which could not read it`;
      fail(`A cache may send this answer to ${reader}: it has no Vary: Origin.`, asked, answer);
    }
  };
}

function variesByOrigin(answer: Answer): boolean {
  return members(answer, "Vary").some((name) => name === "origin" || name === "*");
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
  const origin = "https://contract.example";
  const requests = [...new Set([anyPath(plan), MISSING])].flatMap((path) => [
    fromPage(get(path), origin),
    preflightOf(path, origin, "PUT", []),
  ]);
  return judge("credentials are not allowed to pages of every origin", requests, (answer) => {
    if (header(answer, "Access-Control-Allow-Credentials") !== "true") return;
    const allowed = header(answer, "Access-Control-Allow-Origin");
    if (allowed === origin)
      return "Any page on the web could act as the user that opens it, with that user's cookies.";
    return (
      allowed === "*" &&
      "The answer allows every origin and credentials, which no browser accepts: pages that send cookies get a network error."
    );
  });
}

/** Preflights: what browsers ask before a request that a form could not send. */
export function preflight(plan: Plan): Check[] {
  const { cors } = plan;
  if (cors === undefined) return [];
  const path = anyPath(plan);
  const list = [
    granted(`a preflight from ${cors.allowed} is granted`, cors, path),
    judge(
      "caches keep the answers to preflights apart by origin",
      [preflightOf(path, cors.allowed, cors.methods[0] ?? "GET", cors.headers)],
      (answer) => {
        const allowed = header(answer, "Access-Control-Allow-Origin");
        if (allowed === undefined || allowed === "*" || variesByOrigin(answer)) return;
        return "The answer depends on the origin, and does not say so: it has no Vary: Origin. A cache may give it to another origin's page.";
      },
    ),
  ];
  const { ok, protected: guarded } = plan;
  if (ok !== undefined) {
    list.push({
      name: `the handler of ${ok} does not run for a preflight`,
      check: (client) => isNotHandled(client, cors, ok, {}),
    });
  }
  if (guarded !== undefined) {
    list.push(granted(`a preflight to ${guarded.path} is granted, without credentials`, cors, guarded.path));
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
    list.push(
      grantsNothing(`a preflight from ${refused} grants nothing`, cors, path, [refused]),
      grantsNothing(
        `a preflight from an origin that only resembles ${cors.allowed} grants nothing`,
        cors,
        path,
        strangers(cors),
      ),
    );
  }
  return list;
}

function granted(name: string, cors: CorsPlan, path: string): Check {
  const { allowed, methods, headers } = cors;
  const requests = methods.map((method) => preflightOf(path, allowed, method, headers));
  return judge(name, requests, (answer, request) => {
    const { origin, method, why } = readPreflight(cors, request, answer);
    return (
      why &&
      `A browser would not send the ${method} of a page at ${origin}: the answer to its preflight does not allow it: ${why}.`
    );
  });
}

function grantsNothing(name: string, cors: CorsPlan, path: string, origins: string[]): Check {
  const { methods, headers } = cors;
  const requests = origins.flatMap((origin) =>
    methods.map((method) => preflightOf(path, origin, method, headers)),
  );
  return judge(name, requests, (answer, request) => {
    const { origin, method, why } = readPreflight(cors, request, answer);
    return (
      why === undefined &&
      `A browser would send the ${method} of a page at ${origin}, which may not call the app.`
    );
  });
}

/** Why the browser does not send the request after this preflight. */
function readPreflight({ headers, credentials }: CorsPlan, { headers: sent }: Request, answer: Answer) {
  const origin = sent.Origin!;
  const method = sent["Access-Control-Request-Method"]!;
  return { origin, method, why: whyNotSent(answer, { origin, method, headers, credentials }) };
}

/** Fails if the handler runs for a preflight, which its answer shows. */
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
