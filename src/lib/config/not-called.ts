import { peek } from "../values/thrown.js";
import { ConfigError, HIDDEN } from "./config-error.js";

/**
 * Refuses a factory that was not called: with `app.use(cors)`, Express calls it with the first request.
 *
 * @throws {ConfigError} `ERR_PORTICO_NOT_CALLED`, which Express hands to the error handlers
 */
export function refuseRequest(subject: string, given: unknown): void {
  if (!isRequest(given)) return;
  const name = subject.replace(/\(.*$/, "");
  const reason = `was not called: Express called it with a request. Write app.use(${name}()), with the options it needs, not app.use(${name})`;
  throw new ConfigError(subject, [{ option: name, value: HIDDEN, reason, code: "ERR_PORTICO_NOT_CALLED" }]);
}

/**
 * Refuses to be a handler: `app.use(contextOf)` calls it with `next`, which it would never call, so that each request
 * would hang.
 *
 * @throws {ConfigError} `ERR_PORTICO_NOT_CALLED`, which Express hands to the error handlers
 */
export function refuseNext(name: string, use: string, next: unknown): void {
  if (typeof next !== "function") return;
  const reason = `is no handler: Express called it with a request. Write ${use}, not app.use(${name})`;
  throw new ConfigError(name, [{ option: name, value: HIDDEN, reason, code: "ERR_PORTICO_NOT_CALLED" }]);
}

/** Decided by members: a request of HTTP/2, of a mock or of an adapter is an instance of another class. */
function isRequest(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return (
    typeof peek(value, "method") === "string" &&
    typeof peek(value, "url") === "string" &&
    typeof peek(value, "headers") === "object" &&
    typeof peek(value, "on") === "function"
  );
}
