import type { AuthResult } from "../lib/http/auth-scheme.js";
import type { Auth } from "../lib/request/state.js";
import { isThenable } from "../lib/values/thrown.js";

/** What a `verify` may return: `true`, the principal, or anything else for a no. */
export type Verdict<Principal extends object = object> = Principal | boolean | null | undefined;

/** What a `verify` returns: its verdict, or a promise of it. */
export type Telling<Principal extends object = object> = Verdict<Principal> | PromiseLike<Verdict<Principal>>;

/** The type of the principal that a `verify` tells; `Otherwise` for one that only ever says yes or no. */
export type PrincipalIn<Told, Otherwise extends object> = [Named<Told>] extends [never]
  ? Otherwise
  : Named<Told>;

/** What a `verify` returns where none is given: only yes or no, unless the principal's type is named. */
export type Unsaid<Principal extends object> = object extends Principal ? boolean : Telling<Principal>;

type Named<Told> = Extract<Exclude<Awaited<Told>, boolean | null | undefined>, object>;

/** Makes an outcome of what `verify` returned: only `true` or an object passes. Without a promise if there was none. */
export function judge(
  verdict: unknown,
  whenTrue: Auth["principal"],
  failure: AuthResult,
): AuthResult | Promise<AuthResult> {
  if (!isThenable(verdict)) return settle(verdict, whenTrue, failure);
  return Promise.resolve(verdict).then((told) => settle(told, whenTrue, failure));
}

function settle(verdict: unknown, whenTrue: Auth["principal"], failure: AuthResult): AuthResult {
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
