import type { IncomingHttpHeaders } from "node:http";
import type { Policy } from "./rules/policy.js";
import type { Exchange } from "./visit.js";

const CONDITIONS = ["if-none-match", "if-modified-since", "range", "if-range"] as const;

/**
 * Replaces the client's conditions by those of the stored answer, or removes them: the handlers are asked for a whole
 * answer that also serves the next client, and the cache itself answers the client's conditions. A range is left to the
 * handlers while no stored answer can be validated: they may produce a part faster than the whole.
 */
export function replaceConditions(exchange: Exchange, policy: Policy | undefined): void {
  const { headers } = exchange.req;
  const { etag, lastModified } = policy ?? {};
  if (headers.range !== undefined && etag === undefined && lastModified === undefined) return;
  const conditions: IncomingHttpHeaders = {};
  for (const name of CONDITIONS) {
    if (headers[name] === undefined) continue;
    conditions[name] = headers[name] as never;
    delete headers[name];
  }
  exchange.conditions = conditions;
  if (etag !== undefined) headers["if-none-match"] = etag;
  if (lastModified !== undefined) headers["if-modified-since"] = lastModified;
}

/** Restores the client's conditions for code that reads the request's headers after the handlers, as a log does. */
export function restoreConditions({ req, conditions }: Exchange): void {
  if (conditions === undefined) return;
  delete req.headers["if-none-match"];
  delete req.headers["if-modified-since"];
  Object.assign(req.headers, conditions);
}

/** Whether the client's conditions can lead to a 304. */
export function isConditional(headers: IncomingHttpHeaders): boolean {
  return headers["if-none-match"] !== undefined || headers["if-modified-since"] !== undefined;
}
