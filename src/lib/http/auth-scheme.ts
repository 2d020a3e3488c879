import type { IncomingMessage } from "node:http";
import type { Request } from "express";
import type { Checker } from "../config/checker.js";
import { string } from "../config/schema.js";
import type { Auth, AuthReason } from "../request/state.js";
import { hrefOf, isLoopback, urlOf } from "./target.js";
import { isToken, quote } from "./tokens.js";

/** The result of a scheme's check of a request. */
export type AuthResult =
  | { readonly kind: "passed"; readonly principal: Auth["principal"] }
  /** No credentials of this scheme were sent. */
  | { readonly kind: "absent" }
  /** Credentials of this type were sent that another scheme of the type may know; if none does, they are refused. */
  | { readonly kind: "foreign"; readonly reason: AuthReason }
  /** Credentials were sent and are invalid: `error` is RFC 6750's code, for schemes that have one. */
  | {
      readonly kind: "failed";
      readonly status: 400 | 401;
      readonly error?: "invalid_request" | "invalid_token";
      /** For the log only: it is not sent. */
      readonly reason: AuthReason;
    };

export const ABSENT: AuthResult = { kind: "absent" };
/** No token at all (RFC 6750, section 3.1). */
export const BAD_REQUEST: AuthResult = {
  kind: "failed",
  status: 400,
  error: "invalid_request",
  reason: "malformed",
};
/** A token that is expired, revoked, forged or unknown. */
export const BAD_TOKEN: AuthResult = badToken("rejected");

/** An invalid token, with the reason. */
export function badToken(reason: AuthReason): AuthResult {
  return { kind: "failed", status: 401, error: "invalid_token", reason };
}

/** A way to authenticate: made by `bearer`, `basic`, `apiKey` and `jwt`; used by `authenticate`. */
export interface Scheme<Principal extends object = object> {
  /** The type of its principal. Only for the compiler: the property does not exist. */
  readonly "~principal"?: Principal;
  readonly name: Auth["scheme"];
  /** The type of its credentials, as the challenge names it. */
  readonly type: string;
  /** Which credentials of its type it knows, if it leaves all others to the next schemes. */
  readonly knows?: readonly string[];
  /** The request header that the credentials come in. */
  readonly header: string;
  /** The app's own function that reads them, if there is one. */
  readonly source?: unknown;
  /** Parameters of its challenges after the realm, each with a comma before it. */
  readonly parameters?: string;
  /** Its challenge in WWW-Authenticate (RFC 9110, section 11.6.1), without an error. */
  readonly challenge: string;
  /** Throws or rejects if the credentials could not be checked; the error goes to the error handler. */
  readonly check: (req: Request) => AuthResult | Promise<AuthResult>;
}

/** Marks schemes, those of a second installed copy of the package too. */
const MADE: unique symbol = Symbol.for("express-portico/scheme/1") as never;

/** The type of a scheme's principal; by default that of `Auth`. */
export type PrincipalOf<S> =
  S extends Scheme<infer P> ? (object extends P ? Auth["principal"] : P) : Auth["principal"];

export function makeScheme<Principal extends object>(scheme: Scheme): Scheme<Principal> {
  return Object.freeze(Object.assign(scheme, { [MADE]: true })) as Scheme as never;
}

export function isScheme(value: unknown): value is Scheme {
  return typeof value === "object" && value !== null && (value as { [MADE]?: unknown })[MADE] === true;
}

export const DEFAULT_REALM = "api";

/** The challenge for bearer tokens, in the parts that a scheme has. */
export function bearerChallenge({
  prefix = "Bearer",
  realm = DEFAULT_REALM,
  resourceMetadata,
}: {
  readonly prefix?: string | undefined;
  readonly realm?: string | undefined;
  readonly resourceMetadata?: string | undefined;
}): Pick<Scheme, "type" | "challenge" | "parameters"> {
  const parameters = resourceMetadata === undefined ? "" : `, resource_metadata=${quote(resourceMetadata)}`;
  return { type: prefix, challenge: `${prefix} realm=${quote(realm)}${parameters}`, parameters };
}

/**
 * The bearer token of a request (RFC 6750, section 2.1), or the result for a request without one.
 *
 * @param scheme in lower case
 */
export function bearerTokenOf(req: Request, scheme: string): string | AuthResult {
  const sent = readAuthorization(req);
  if (sent.kind === "none") return ABSENT;
  if (sent.kind === "malformed") return BAD_REQUEST;
  if (sent.scheme !== scheme) return ABSENT;
  return isBearerToken(sent.rest) ? sent.rest : BAD_REQUEST;
}

/** The Authorization field, read; the scheme in lower case. */
export type Authorization =
  | { readonly kind: "none" }
  /** More than one field, or a field that does not begin with a scheme's name. */
  | { readonly kind: "malformed" }
  | { readonly kind: "sent"; readonly scheme: string; readonly rest: string };

const NONE: Authorization = { kind: "none" };
const MALFORMED: Authorization = { kind: "malformed" };
const SPACE = 0x20;

/** RFC 9110, section 11.4: the scheme's name, one space or more, the rest. */
export function readAuthorization(req: IncomingMessage): Authorization {
  const value = req.headers.authorization;
  if (value === undefined) return NONE;
  if (fieldCount(req, "authorization") > 1) return MALFORMED;
  const space = value.indexOf(" ");
  const end = space === -1 ? value.length : space;
  const scheme = value.slice(0, end);
  if (!isToken(scheme)) return MALFORMED;
  let start = end;
  while (value.charCodeAt(start) === SPACE) start++;
  return { kind: "sent", scheme: scheme.toLowerCase(), rest: value.slice(start) };
}

/** How often a field was sent: Node keeps only the first Authorization, and joins other fields with commas. */
export function fieldCount({ rawHeaders }: IncomingMessage, name: string): number {
  let count = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const sent = rawHeaders[i]!;
    if (sent.length === name.length && sent.toLowerCase() === name) count++;
  }
  return count;
}

// RFC 6750, section 2.1: b64token.
const B64TOKEN = /^[A-Za-z0-9\-._~+/]+=*$/;

export function isBearerToken(text: string): boolean {
  return B64TOKEN.test(text);
}

/** The name of the scheme in the Authorization field and in the challenge, where it is not `Bearer`. */
export function checkPrefix(checker: Checker): string | undefined {
  const prefix = string()(checker, "prefix");
  if (prefix === undefined || prefix.toLowerCase() === "bearer") return undefined;
  const isBasic = prefix.toLowerCase() === "basic";
  if (isToken(prefix) && !isBasic) return prefix;
  const reason = isBasic
    ? "is the name of another scheme: use basic()"
    : 'must be the name of a scheme, one word without a space, such as "Token"';
  checker.add("prefix", reason);
  return undefined;
}

/** RFC 9728, section 1.2: an https: URL without a fragment; http: for tests on the own machine. */
export function checkResourceMetadata(checker: Checker): string | undefined {
  const { resourceMetadata } = checker.options;
  if (resourceMetadata === undefined) return undefined;
  const text = hrefOf(resourceMetadata);
  const url = text === undefined ? undefined : urlOf(text);
  const isSafe = url?.protocol === "https:" || (url?.protocol === "http:" && isLoopback(url));
  if (url !== undefined && isSafe && url.hash === "" && url.username === "" && url.password === "")
    return url.href;
  checker.addSecret(
    "resourceMetadata",
    "must be an https: URL (http: on loopback) without fragment and password: https://api.example/.well-known/oauth-protected-resource",
  );
  return undefined;
}
