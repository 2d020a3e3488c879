import { debuglog } from "node:util";
import { JOSEError } from "jose/errors";
import { compactVerify } from "jose/jws/compact/verify";
import {
  ABSENT,
  type AuthResult,
  badToken,
  bearerChallenge,
  bearerTokenOf,
  makeScheme,
  type Scheme,
} from "../lib/http/auth-scheme.js";
import type { Auth, AuthReason } from "../lib/request/state.js";
import { isThenable } from "../lib/values/thrown.js";
import {
  checkHeader,
  claimsFault,
  type Fault,
  hasKnownAlgorithm,
  isOfIssuer,
  type Signed,
} from "./claims.js";
import type { KeySource } from "./key-set.js";
import { checkOptions, type JwtOptions, type JwtPlan } from "./options.js";
import { isAmbiguous, readToken, type Token } from "./token.js";

export type { Scheme } from "../lib/http/auth-scheme.js";
export type { JwtAlgorithm } from "./algorithms.js";
export type { ClaimValue } from "./claims.js";
export type { JwtOptions } from "./options.js";
export type { JwtKey } from "./read-key.js";

/** With `NODE_DEBUG=express-portico-jwt`, says why a token was refused; the client never sees it. */
const debug = debuglog("express-portico-jwt");

/**
 * A scheme for `authenticate`: signed tokens (JWT, RFC 7519) in the Authorization header, checked as RFC 8725 recommends.
 * The principal is the object of the token's claims.
 *
 * The token must be signed by one of the issuer's keys with one of the `algorithms`, name this issuer and this audience,
 * and not have expired. Else the answer is 401 with `error="invalid_token"`. If the issuer's keys cannot be fetched, the
 * token cannot be checked: then the error handler gets an error with status 503 and `Retry-After`.
 *
 * Tokens of other issuers and algorithms, and tokens that are no JWT, are left to the schemes after it: another `jwt`, or
 * `bearer`.
 *
 * @example
 * authenticate(
 *   jwt({
 *     issuer: "https://issuer.example/",
 *     audience: "https://api.example",
 *     algorithms: ["RS256"],
 *     jwks: "https://issuer.example/.well-known/jwks.json",
 *   }),
 * );
 *
 * @example
 * const key = Buffer.from(secret, "base64"); // 32 bytes or more
 * authenticate([jwt({ issuer: "login", audience: "api", algorithms: ["HS256"], key }), apiKey({ keys })]);
 *
 * @throws {ConfigError} lists all problems of the options
 * @see docs/jwt.md
 * @see https://www.rfc-editor.org/rfc/rfc8725
 */
export function jwt(options: JwtOptions): Scheme {
  const plan = checkOptions(options);
  const scheme = (plan.prefix ?? "Bearer").toLowerCase();
  return makeScheme({
    name: "jwt",
    header: plan.token === undefined ? "Authorization" : "Cookie",
    source: plan.token,
    ...bearerChallenge(plan),
    knows: Object.freeze(
      namesOf(plan.issuers).flatMap((issuer) => plan.algorithms.map((one) => `${one} of ${issuer}`)),
    ),
    check:
      plan.token === undefined
        ? (req) => {
            const text = bearerTokenOf(req, scheme);
            return typeof text === "string" ? checkToken(plan, text) : text;
          }
        : (req) => checkOptionToken(plan, plan.token!(req)),
  });
}

let functionCount = 0;
const functionNames = new WeakMap<object, string>();

/** The names of the issuers. A function has one name in all schemes, so that a second scheme with it is recognised. */
function namesOf(issuers: JwtPlan["issuers"]): readonly string[] {
  if (typeof issuers !== "function") return issuers;
  const name = functionNames.get(issuers) ?? `those of function ${++functionCount}`;
  functionNames.set(issuers, name);
  return [name];
}

/** Checks what the option `token` returned. An empty string counts as no token: a deleted cookie may leave it. */
function checkOptionToken(plan: JwtPlan, given: unknown): AuthResult | Promise<AuthResult> {
  if (isThenable(given)) return Promise.resolve(given).then((found) => checkOptionToken(plan, found));
  if (given === undefined || given === null) return ABSENT;
  if (typeof given !== "string") return refused(NO_STRING);
  const text = given.replace(/^"(.*)"$/s, "$1"); // RFC 6265, section 4.1.1: a cookie's value may be quoted
  return text === "" ? ABSENT : checkToken(plan, text);
}

const NO_STRING: Fault = {
  reason: "malformed",
  message: "the option token returned something that is not a string",
};

function checkToken(plan: JwtPlan, text: string): AuthResult | Promise<AuthResult> {
  const token = readToken(text);
  if (token === undefined) return foreign("malformed", "it is no JWT");
  // The issuer function may be slow: do not call it for a token that is refused anyway.
  if (typeof plan.issuers === "function" && !hasKnownAlgorithm(plan, token))
    return foreign(...WRONG_ALGORITHM);
  const isKnown = isOfIssuer(plan, token);
  if (isThenable(isKnown))
    return Promise.resolve(isKnown).then((settled) => checkIssuedToken(plan, token, settled));
  return checkIssuedToken(plan, token, isKnown);
}

/** @param isKnown may be the result of the app's own function: only `true` means yes */
function checkIssuedToken(plan: JwtPlan, token: Token, isKnown: unknown): AuthResult | Promise<AuthResult> {
  if (isKnown !== true) return foreign("wrong-issuer", "it is of another issuer (iss)");
  if (!hasKnownAlgorithm(plan, token)) return foreign(...WRONG_ALGORITHM);
  // Cheap checks come first, so that no signature is checked for a token that is refused anyway.
  const signed = checkHeader(plan, token);
  if ("message" in signed) return refused(signed);
  const fault = claimsFault(plan, token, Date.now() / 1_000);
  if (fault !== undefined) return refused(fault);
  if (isAmbiguous(token)) return refused(AMBIGUOUS);
  return checkSignature(plan.keys, token, signed);
}

const WRONG_ALGORITHM = ["bad-signature", "its algorithm is not allowed (alg)"] as const;
const AMBIGUOUS: Fault = { reason: "malformed", message: "it has a member twice" };

async function checkSignature(
  keys: KeySource,
  token: Token,
  { algorithm, kid }: Signed,
): Promise<AuthResult> {
  const found = keys.find(algorithm, kid, token.claims.iss as string);
  for (const key of isThenable(found) ? await found : found) {
    try {
      await compactVerify(token.text, key);
      return { kind: "passed", principal: token.claims as Auth["principal"] };
    } catch (error) {
      if (!(error instanceof JOSEError)) throw error;
    }
  }
  return refused(UNSIGNED);
}

const UNSIGNED: Fault = {
  reason: "bad-signature",
  message: "it was signed with no known key, or changed since",
};

function foreign(reason: AuthReason, message: string): AuthResult {
  debug("left to the next scheme, if there is one: %s", message);
  return { kind: "foreign", reason };
}

function refused({ reason, message }: Fault): AuthResult {
  debug("refused: %s", message);
  return badToken(reason);
}
