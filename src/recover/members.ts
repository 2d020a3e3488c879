import { isBag } from "../lib/config/checker.js";
import { hasOwn, peek } from "../lib/values/thrown.js";
import { isClientError } from "./status.js";

/** What the answer itself says. */
const OURS = new Set(["status", "instance", "requestId"]);
const TEXTS = new Set(["type", "title", "detail"]);

/**
 * The members that an error has for its problem details: those of its own `problem`, an object. `type`, `title` and
 * `detail` take the place of ours, all others are extension members (RFC 9457, section 3.2). What JSON cannot say is left
 * out, all of it if need be.
 */
export function membersOf(error: unknown): Record<string, unknown> | undefined {
  if (typeof error !== "object" || error === null || isClientError(error)) return undefined;
  if (!hasOwn(error, "problem")) return undefined;
  const given = copyOf(peek(error, "problem"));
  if (!isBag(given)) return undefined;
  return Object.fromEntries(
    Object.entries(given).filter(
      ([name, value]) => !OURS.has(name) && (!TEXTS.has(name) || typeof value === "string"),
    ),
  );
}

/** As JSON will say it: no getter and no `toJSON` is run again when it is sent. */
function copyOf(value: unknown): unknown {
  try {
    return JSON.parse(JSON.stringify(value));
  } catch {
    return undefined;
  }
}
