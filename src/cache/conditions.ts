import type { IncomingHttpHeaders } from "node:http";
import type { Policy } from "./rules/policy.js";
import type { Visit } from "./visit.js";

const TAKEN = ["if-none-match", "if-modified-since", "range", "if-range"] as const;

/**
 * The handlers are asked for a whole answer, which serves the next client too, or whether the stored one still holds:
 * the client's own conditions are for the cache to answer. A range is left to the handlers while nothing is stored:
 * they may have a way to a part that is shorter than by way of the whole.
 */
export function ask(visit: Visit, policy: Policy | undefined): void {
  const { headers } = visit.req;
  const { etag, lastModified } = policy ?? {};
  if (headers.range !== undefined && etag === undefined && lastModified === undefined) return;
  const taken: IncomingHttpHeaders = {};
  for (const name of TAKEN) {
    if (headers[name] === undefined) continue;
    taken[name] = headers[name] as never;
    delete headers[name];
  }
  visit.conditions = taken;
  if (etag !== undefined) headers["if-none-match"] = etag;
  if (lastModified !== undefined) headers["if-modified-since"] = lastModified;
}

/** For those who read the request's headers after the handlers, as a log does. */
export function giveBack({ req, conditions }: Visit): void {
  if (conditions === undefined) return;
  delete req.headers["if-none-match"];
  delete req.headers["if-modified-since"];
  Object.assign(req.headers, conditions);
}

/** Whether the client's conditions are such that 304 can be the answer. */
export function isConditional(headers: IncomingHttpHeaders): boolean {
  return headers["if-none-match"] !== undefined || headers["if-modified-since"] !== undefined;
}
