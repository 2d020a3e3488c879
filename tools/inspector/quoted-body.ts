import { withoutQuote } from "../../src/lib/values/thrown.js";

const MAX_DEPTH = 8;

/** A copy of plain data, without the parts of a body that the errors of `JSON.parse` quote. */
export function withoutQuotedBodies(value: unknown, depth = 0): unknown {
  if (typeof value === "string") return withoutQuote(value);
  if (typeof value !== "object" || value === null || depth > MAX_DEPTH) return value;
  if (Array.isArray(value)) return value.map((one) => withoutQuotedBodies(one, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => [key, withoutQuotedBodies(one, depth + 1)]),
  );
}
