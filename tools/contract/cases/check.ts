import type { Client, Request } from "../client.js";
import { get } from "../client.js";
import type { CorsPlan, Plan } from "../plan.js";

/** A case before it knows where the app listens. */
export interface Check {
  readonly name: string;
  readonly check: (client: Client) => Promise<void>;
}

/** A request whose answer must have what every answer has. */
export interface Sample {
  /** `the 404 of GET /nothing-here` */
  readonly what: string;
  readonly request: Request;
  readonly isExpected: (status: number) => boolean;
  readonly expected: string;
  readonly patienceMs?: number | undefined;
}

/** No app has a route of this name. */
export const MISSING = "/nothing-here-express-portico-contract";

/** The answers that the expectations name, one of each status; the 404 needs no name. */
export function samples(plan: Plan): Sample[] {
  const { ok, failing, slow } = plan;
  const exactly = (path: string, status: number, patienceMs?: number): Sample => ({
    what: `the ${status} of GET ${path}`,
    request: get(path),
    isExpected: (given) => given === status,
    expected: String(status),
    patienceMs,
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

/** The question that a browser asks before the request. */
export function preflightOf(
  path: string,
  origin: string,
  method: string,
  headers: readonly string[],
): Request {
  // Browsers sort the names, and write no spaces (Fetch, CORS-preflight fetch).
  const asked =
    headers.length === 0 ? {} : { "Access-Control-Request-Headers": [...headers].sort().join(",") };
  return {
    method: "OPTIONS",
    path,
    headers: { Origin: origin, "Access-Control-Request-Method": method, ...asked },
  };
}

/** Where a preflight is sent to: the route that all may call, else the protected one, else none in particular. */
export function anyPath(plan: Plan): string {
  return plan.ok ?? plan.protected?.path ?? MISSING;
}

/** Origins that the app does not know, some of which a careless comparison takes for the allowed one. */
export function strangers({ allowed }: CorsPlan): string[] {
  const url = new URL(allowed);
  const withHost = (host: string) => `${url.protocol}//${host}${url.port === "" ? "" : `:${url.port}`}`;
  const { hostname } = url;
  return [withHost(`${hostname}.contract.example`), withHost(`contract-${hostname}`), "null"];
}
