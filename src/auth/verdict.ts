import type { Outcome } from "../http/auth-scheme.js";
import type { Auth } from "../http/facts.js";
import { isThenable } from "../http/thenable.js";

/** What a `verify` may return: `true`, the principal, or anything else for a no. */
export type Verdict<Principal extends object = object> = Principal | boolean | null | undefined;

/** The principal of a `verify`. One that only ever answers yes or no names none: the compiler sees its promise then. */
export type PrincipalIn<Principal extends object, Otherwise extends object> =
  Principal extends PromiseLike<unknown> ? Otherwise : Principal;

/** Makes an outcome of what `verify` returned: only `true` or an object passes. Without a promise if there was none. */
export function judge(
  verdict: unknown,
  whenTrue: Auth["principal"],
  failure: Outcome,
): Outcome | Promise<Outcome> {
  if (!isThenable(verdict)) return settle(verdict, whenTrue, failure);
  return Promise.resolve(verdict).then((told) => settle(told, whenTrue, failure));
}

function settle(verdict: unknown, whenTrue: Auth["principal"], failure: Outcome): Outcome {
  if (verdict === true) return { kind: "passed", principal: whenTrue };
  return isPrincipal(verdict) ? { kind: "passed", principal: verdict } : failure;
}

const NOT_PRINCIPALS = new Set(
  ["Error", "DOMException", "Boolean", "Number", "String", "Date", "RegExp", "Map", "Set"].map(
    (name) => `[object ${name}]`,
  ),
);

/** An object of the app's own: a list, or an error that was returned and not thrown, says nobody. */
export function isPrincipal(value: unknown): value is Auth["principal"] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return !(value instanceof Error) && !NOT_PRINCIPALS.has(Object.prototype.toString.call(value));
}
