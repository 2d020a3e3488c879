import type { AuthResult } from "../lib/http/auth-scheme.js";
import type { Auth } from "../lib/request/state.js";
import { isThenable } from "../lib/values/thrown.js";

/** What `verify` may return: `true` or the principal to accept the credentials, anything else to refuse them. */
export type Verdict<Principal extends object = object> = Principal | boolean | null | undefined;

/** A verdict, or a promise of it. */
export type VerifyResult<Principal extends object = object> =
  | Verdict<Principal>
  | PromiseLike<Verdict<Principal>>;

/** The type of the principal in the result of `verify`; `Otherwise` if `verify` only returns yes or no. */
export type PrincipalIn<Result, Fallback extends object> = [PrincipalObject<Result>] extends [never]
  ? Fallback
  : PrincipalObject<Result>;

/** The result type of a `verify` that was not given: yes or no, unless the principal's type is named. */
export type DefaultResult<Principal extends object> = object extends Principal
  ? boolean
  : VerifyResult<Principal>;

type PrincipalObject<Result> = Extract<Exclude<Awaited<Result>, boolean | null | undefined>, object>;

/** Turns what `verify` returned into an `AuthResult`; a promise only if `verify` returned one. */
export function authResultOf(
  verdict: unknown,
  whenTrue: Auth["principal"],
  failure: AuthResult,
): AuthResult | Promise<AuthResult> {
  if (!isThenable(verdict)) return resultOf(verdict, whenTrue, failure);
  return Promise.resolve(verdict).then((settled) => resultOf(settled, whenTrue, failure));
}

function resultOf(verdict: unknown, whenTrue: Auth["principal"], failure: AuthResult): AuthResult {
  if (verdict === true) return { kind: "passed", principal: whenTrue };
  return isPrincipal(verdict) ? { kind: "passed", principal: verdict } : failure;
}

const NOT_PRINCIPALS = new Set(
  ["Error", "DOMException", "Boolean", "Number", "String", "Date", "RegExp", "Map", "Set"].map(
    (name) => `[object ${name}]`,
  ),
);

/** Whether the value is an object of the app; lists, and errors that were returned instead of thrown, are no principals. */
export function isPrincipal(value: unknown): value is Auth["principal"] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return !(value instanceof Error) && !NOT_PRINCIPALS.has(Object.prototype.toString.call(value));
}
