import type { AuthResult } from "../lib/http/auth-scheme.js";
import type { Auth } from "../lib/request/state.js";
import { isThenable } from "../lib/values/thrown.js";

export interface UserPass {
  readonly user: string;
  readonly password: string;
}

let utf8: InstanceType<typeof TextDecoder> | undefined;

/** Reads Basic credentials (RFC 7617, section 2); undefined if they are malformed. */
export function readUserPass(encoded: string): UserPass | undefined {
  const bytes = Buffer.from(encoded, "base64");
  // Node skips what is not base64: encode again to see that nothing was skipped.
  if (encoded === "" || bytes.toString("base64").replace(/=+$/, "") !== encoded.replace(/=+$/, ""))
    return undefined;
  if (!/^[^=]*={0,2}$/.test(encoded)) return undefined;
  let text: string;
  try {
    utf8 ??= new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    text = utf8.decode(bytes);
  } catch {
    return undefined;
  }
  const colon = text.indexOf(":");
  if (colon === -1 || /[\x00-\x1f\x7f]/.test(text)) return undefined;
  return { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** Digests are compared instead of secrets: they have one length, and the secret itself need not stay in memory. */
export function digest(secret: string): Buffer {
  return process.getBuiltinModule("node:crypto").createHash("sha256").update(secret, "utf8").digest();
}

/** Finds the entry with the given digests. All entries are compared, also after a match, so that the time reveals nothing. */
export function findByDigests<T>(
  entries: readonly { readonly digests: readonly Buffer[]; readonly value: T }[],
  given: readonly Buffer[],
): T | undefined {
  const { timingSafeEqual } = process.getBuiltinModule("node:crypto");
  let found: T | undefined;
  for (const { digests, value } of entries) {
    let equal = true;
    for (let i = 0; i < digests.length; i++) {
      const same = timingSafeEqual(digests[i]!, given[i]!);
      equal = same && equal;
    }
    if (equal) found = value;
  }
  return found;
}

/** What `verify` may return: `true` or the principal to accept the credentials, anything else to refuse them. */
export type Verdict<Principal extends object = object> = Principal | boolean | null | undefined;

/** A verdict, or a promise of it. */
export type VerifyResult<Principal extends object = object> =
  | Verdict<Principal>
  | PromiseLike<Verdict<Principal>>;

/** The type of the principal in the result of `verify`; `Fallback` if `verify` only returns yes or no. */
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
