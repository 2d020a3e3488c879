import { header, members } from "../answer.js";
import { whyNotSent } from "../browser.js";
import type { Client } from "../client.js";
import { get } from "../client.js";
import type { HeaderBag } from "../expectations.js";
import { fail } from "../failure.js";
import type { CorsPlan, Plan } from "../plan.js";
import { anyPath, type Check, preflightOf, strangers } from "./check.js";

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
