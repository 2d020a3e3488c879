import { isBag } from "../lib/config/checker.js";
import { hasOwn, peek } from "../lib/values/thrown.js";
import { isHttpClientError } from "./status.js";

/** Members that an error cannot set. */
const RESERVED_MEMBERS = new Set(["status", "instance", "requestId"]);
const TEXT_MEMBERS = new Set(["type", "title", "detail"]);

/**
 * The members of an error's own `problem` object, for the problem details. `type`, `title` and `detail` replace ours, all
 * others are extension members (RFC 9457, section 3.2). If the object cannot be written as JSON, all are left out.
 */
export function membersOfError(error: unknown): Record<string, unknown> | undefined {
  if (typeof error !== "object" || error === null || isHttpClientError(error)) return undefined;
  if (!hasOwn(error, "problem")) return undefined;
  const given = jsonCopy(peek(error, "problem"));
  if (!isBag(given)) return undefined;
  return Object.fromEntries(
    Object.entries(given).filter(
      ([name, value]) =>
        !RESERVED_MEMBERS.has(name) && (!TEXT_MEMBERS.has(name) || typeof value === "string"),
    ),
  );
}

/** A copy made by JSON, so that no getter and no `toJSON` runs again when it is sent. */
function jsonCopy(value: unknown): unknown {
  try {
    return JSON.parse(JSON.stringify(value));
  } catch {
    return undefined;
  }
}
