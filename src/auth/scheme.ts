import type { Request } from "express";
import type { Auth } from "../http/facts.js";

/** What a scheme makes of a request. */
export type Outcome =
  | { readonly kind: "passed"; readonly principal: Auth["principal"] }
  /** No credentials of this scheme were sent. */
  | { readonly kind: "absent" }
  /** Credentials were sent, and are no good: `error` is RFC 6750's code, for schemes that have one. */
  | {
      readonly kind: "failed";
      readonly status: 400 | 401;
      readonly error?: "invalid_request" | "invalid_token";
    };

export const ABSENT: Outcome = { kind: "absent" };

/** A way to say who is calling: made by `bearer`, `basic`, `apiKey`; used by `authenticate`. */
export interface Scheme {
  readonly name: Auth["scheme"];
  /** The request header that the credentials come in. */
  readonly header: string;
  /** What WWW-Authenticate says of it (RFC 9110, section 11.6.1), without an error. */
  readonly challenge: string;
  /** May throw or reject: that is an error of the app's own callback. */
  readonly check: (req: Request) => Outcome | Promise<Outcome>;
}

/** Schemes are told from other objects by having been made here. */
const made = new WeakSet<object>();

export function makeScheme(scheme: Scheme): Scheme {
  made.add(scheme);
  return Object.freeze(scheme);
}

export function isScheme(value: unknown): value is Scheme {
  return typeof value === "object" && value !== null && made.has(value);
}
