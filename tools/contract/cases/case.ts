import type { Client } from "../client.js";
import { type Answer, fail, get, type Request } from "../message.js";
import type { CorsPlan, Plan } from "../plan.js";

/** A case, without the place where the app listens. */
export interface Check {
  readonly name: string;
  readonly check: (client: Client) => Promise<void>;
}

/** A case that sends requests, and fails with what `wrong` returns for an answer: what a browser or a client would see. */
export function judge(
  name: string,
  requests: readonly Request[],
  wrong: (answer: Answer, request: Request) => string | false | undefined,
  waitMs?: number,
): Check {
  return {
    name,
    async check(client) {
      for (const request of requests) {
        const answer = await client.ask(request, waitMs);
        const message = wrong(answer, request);
        if (message) fail(message, request, answer);
      }
    },
  };
}

/** A request whose answer must keep the promises for every answer. */
export interface Sample {
  /** `the 404 of GET /nothing-here` */
  readonly what: string;
  readonly request: Request;
  readonly isExpected: (status: number) => boolean;
  readonly expected: string;
  readonly waitMs?: number | undefined;
}

/** A path that no app has. */
export const MISSING = "/nothing-here-express-portico-contract";

/** One request for each expected status, and one for a 404. */
export function samples(plan: Plan): Sample[] {
  const { ok, failing, slow } = plan;
  const exactly = (path: string, status: number, waitMs?: number): Sample => ({
    what: `the ${status} of GET ${path}`,
    request: get(path),
    isExpected: (given) => given === status,
    expected: String(status),
    waitMs,
  });
  const list: Sample[] = [];
  if (ok !== undefined) {
    const isExpected = (status: number) => status >= 200 && status < 300;
    list.push({ what: `the answer of GET ${ok}`, request: get(ok), isExpected, expected: "2xx" });
  }
  list.push({ ...exactly(MISSING, 404), what: "the 404 of an unknown path" });
  if (plan.protected) list.push(exactly(plan.protected.path, 401));
  if (failing) list.push(exactly(failing.path, failing.status));
  if (slow) list.push(exactly(slow.path, slow.status, slow.withinMs));
  return list;
}

/** The request as a page of that origin sends it. */
export function fromPage(request: Request, origin: string): Request {
  return { ...request, headers: { ...request.headers, Origin: origin } };
}

/** The preflight that a browser sends before the request. */
export function preflightOf(
  path: string,
  origin: string,
  method: string,
  headers: readonly string[],
): Request {
  // Browsers sort the names and write no spaces (Fetch, CORS-preflight fetch).
  const asked =
    headers.length === 0 ? {} : { "Access-Control-Request-Headers": [...headers].sort().join(",") };
  return {
    method: "OPTIONS",
    path,
    headers: { Origin: origin, "Access-Control-Request-Method": method, ...asked },
  };
}

/** The path for requests that may go anywhere: `ok`, else `protected`, else an unknown path. */
export function anyPath(plan: Plan): string {
  return plan.ok ?? plan.protected?.path ?? MISSING;
}

/** Unknown origins that a careless comparison accepts as the allowed one. */
export function strangers({ allowed }: CorsPlan): string[] {
  const url = new URL(allowed);
  const withHost = (host: string) => `${url.protocol}//${host}${url.port === "" ? "" : `:${url.port}`}`;
  const { hostname } = url;
  return [withHost(`${hostname}.contract.example`), withHost(`contract-${hostname}`), "null"];
}
