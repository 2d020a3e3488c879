import { debuglog } from "node:util";
import { JOSEError } from "jose/errors";
import { compactVerify } from "jose/jws/compact/verify";
import {
  BAD_TOKEN,
  bearerChallenge,
  bearerTokenOf,
  FOREIGN,
  makeScheme,
  type Outcome,
  type Scheme,
} from "../http/auth-scheme.js";
import type { Auth } from "../http/facts.js";
import { isThenable } from "../http/thenable.js";
import { checkHeader, faultOf, isKnown, type Signed } from "./claims.js";
import type { KeySource } from "./key-source.js";
import { checkOptions, type JwtOptions, type JwtPlan } from "./options.js";
import { isAmbiguous, readToken, type Token } from "./token.js";

export type { Scheme } from "../http/auth-scheme.js";
export type { JwtAlgorithm } from "./algorithms.js";
export type { JwtKey } from "./key.js";
export type { JwtOptions } from "./options.js";

/** Why a token was refused: for whoever runs the server with `NODE_DEBUG=express-portico-jwt`, never for the client. */
const debug = debuglog("express-portico-jwt");

/**
 * Signed tokens (JWT, RFC 7519) in the Authorization header, checked as RFC 8725 says: a scheme of `authenticate`. The
 * principal is what the token claims.
 *
 * The token must be signed by one of the issuer's keys with one of the `algorithms`, say it is of this issuer and for
 * this audience, and not have expired. Else 401, `error="invalid_token"`. If the issuer's keys cannot be had, nothing can
 * be said of it: that is an error with status 503 and `Retry-After`, for the error handler.
 *
 * Tokens of other issuers and algorithms, and what is no JWT, are left to the schemes behind it: another `jwt`, or
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
 * @throws {ConfigError} all that is wrong with the options, at once
 * @see https://www.rfc-editor.org/rfc/rfc8725
 */
export function jwt(options: JwtOptions): Scheme {
  const plan = checkOptions(options);
  return makeScheme({
    name: "jwt",
    type: "Bearer",
    header: "Authorization",
    challenge: bearerChallenge(),
    knows: Object.freeze(
      plan.issuers.flatMap((issuer) => plan.algorithms.map((one) => `${one} of ${issuer}`)),
    ),
    check(req) {
      const text = bearerTokenOf(req);
      return typeof text === "string" ? checkToken(plan, text) : text;
    },
  });
}

function checkToken(plan: JwtPlan, text: string): Outcome | Promise<Outcome> {
  const token = readToken(text);
  if (token === undefined) return foreign("it is no JWT");
  if (!isKnown(plan, token))
    return foreign("it is of another issuer (iss), or its algorithm is not allowed (alg)");
  // What costs little comes first: no signature is worked out for a token that is refused in any case.
  const signed = checkHeader(plan, token);
  if (typeof signed === "string") return refused(signed);
  const fault = faultOf(plan, token, Date.now() / 1_000);
  if (fault !== undefined) return refused(fault);
  if (isAmbiguous(token)) return refused("it says one thing twice");
  return checkSignature(plan.keys, token, signed);
}

async function checkSignature(keys: KeySource, token: Token, { algorithm, kid }: Signed): Promise<Outcome> {
  const found = keys.find(algorithm, kid);
  for (const key of isThenable(found) ? await found : found) {
    try {
      await compactVerify(token.text, key);
      return { kind: "passed", principal: token.claims as Auth["principal"] };
    } catch (error) {
      if (!(error instanceof JOSEError)) throw error;
    }
  }
  return refused("it was signed by nobody who is known, or changed since");
}

function foreign(reason: string): Outcome {
  debug("left to the next scheme, if there is one: %s", reason);
  return FOREIGN;
}

function refused(reason: string): Outcome {
  debug("refused: %s", reason);
  return BAD_TOKEN;
}
