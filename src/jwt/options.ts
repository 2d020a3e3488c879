import type { Request } from "express";
import {
  type Checker,
  eitherOf,
  type ForeignOptions,
  refuseRequired,
  refuseSecret,
} from "../lib/config/checker.js";
import {
  boolean,
  checked,
  fn,
  readOptions,
  type SchemaOf,
  string,
  unchecked,
  valid,
} from "../lib/config/schema.js";
import { checkPrefix, checkResourceMetadata } from "../lib/http/auth-scheme.js";
import { ALGORITHMS, isAlgorithm, isSymmetric, type JwtAlgorithm } from "./algorithms.js";
import { type ClaimValue, checkClaims, mediaType } from "./claims.js";
import { checkJwks } from "./jwks.js";
import type { JwtKey } from "./read-key.js";
import { checkKeys } from "./static-keys.js";

export interface JwtOptions {
  /**
   * The issuer: the exact value of `iss`. A list, if the issuers share their keys or `jwks` is a function. A function is
   * called for each token before its signature is checked, and must return `true` for a known issuer.
   */
  readonly issuer: string | readonly string[] | ((iss: string) => boolean | Promise<boolean>);
  /**
   * The audience: one of these values must be in `aud`. `false`, for issuers whose tokens have no `aud`, requires
   * `claims`.
   */
  readonly audience: string | readonly string[] | false;
  /** The signature algorithms that are accepted. Each must fit the key. */
  readonly algorithms: readonly JwtAlgorithm[];
  /**
   * The URL of the issuer's key set: https:, or http: on loopback. A function returns the URL for each issuer, and is
   * called only for issuers that the option `issuer` accepts.
   */
  readonly jwks?: string | URL | ((iss: string) => string | URL) | undefined;
  /**
   * Instead of `jwks`: the issuer's public key, or for HS256, HS384 and HS512 the secret as bytes. A list of up to 10
   * keys, if several are in use (rotation).
   */
  readonly key?: JwtKey | readonly JwtKey[] | undefined;
  /** Claims that a token must have, each with this value, or one of these values. @defaultValue none */
  readonly claims?: Readonly<Record<string, ClaimValue | readonly ClaimValue[]>> | undefined;
  /** How many seconds the issuer's clock may differ, 0 to 300. @defaultValue `5` */
  readonly clockTolerance?: number | undefined;
  /** The required `typ` in the header, such as `"at+jwt"` for access tokens of RFC 9068. @defaultValue any */
  readonly typ?: string | undefined;
  /**
   * Reads the token from elsewhere, such as a cookie; the Authorization header is then not read. Check for CSRF before it,
   * because browsers send cookies with requests of other sites too. @defaultValue the `Authorization` header
   */
  readonly token?: ((req: Request) => string | null | undefined) | undefined;
  /** The scheme's name in the Authorization header. @defaultValue `"Bearer"` */
  readonly prefix?: string | undefined;
  /** The URL of the protected resource's metadata (RFC 9728), for every challenge. @defaultValue none */
  readonly resourceMetadata?: string | URL | undefined;
  /**
   * Allows an http: URL in `jwks`, for a private network. In production a warning goes to standard error, once.
   * @defaultValue `false`
   */
  readonly allowInsecure?: boolean | undefined;
}

export const OPTIONS = () =>
  ({
    issuer: (checker) =>
      typeof checker.options.issuer === "function"
        ? (checker.options.issuer as (iss: string) => unknown)
        : readNames(checker, "issuer"),
    audience: (checker) => (checker.options.audience === false ? undefined : readNames(checker, "audience")),
    algorithms: checkAlgorithms,
    jwks: unchecked,
    key: unchecked,
    claims: checkClaims,
    clockTolerance: valid(
      (value) => typeof value === "number" && value >= 0 && value <= 300,
      "must be a number of seconds from 0 to 300",
      5,
    ),
    typ: checked(string(), (typ) =>
      mediaType(typ) === "" ? 'must be a type, such as "at+jwt"; for any, leave it out' : undefined,
    ),
    token: fn("must be a function (req) that returns the token, or undefined if there is none"),
    prefix: checkPrefix,
    resourceMetadata: checkResourceMetadata,
    allowInsecure: boolean(false),
  }) satisfies SchemaOf<JwtOptions>;

export type JwtPlan = ReturnType<typeof checkOptions>;

export function checkOptions(options: unknown) {
  const settings = { foreign: FOREIGN, hasSecrets: true };
  const { checker, plan } = readOptions("jwt()", OPTIONS, options, settings);
  const { algorithms, claims, token, prefix, resourceMetadata, allowInsecure } = plan;
  const chosen = eitherOf(checker, "jwks", "key");
  const keys =
    chosen === "jwks"
      ? checkJwks(checker, algorithms, allowInsecure)
      : chosen && checkKeys(checker, algorithms);
  return checker.done({
    ...{ algorithms, claims, token, prefix, resourceMetadata },
    issuers: plan.issuer,
    audiences: plan.audience,
    toleranceSeconds: plan.clockTolerance,
    typ: mediaType(plan.typ),
    keys: keys!,
  });
}

function readNames(checker: Checker, option: "issuer" | "audience"): string[] {
  const given = checker.options[option];
  const list: unknown[] = Array.isArray(given) ? [...given] : [given];
  if (list.includes(undefined)) {
    const missing = "without it any token that the key signed would be accepted";
    if (option in checker.options) refuseSecret(checker, option, undefined, "");
    else refuseRequired(checker, option, { missing, wrong: "" });
  } else if (list.length === 0 || list.some((one) => typeof one !== "string" || one === "")) {
    const other = option === "issuer" ? ", or a function (iss) => boolean" : ", or false";
    checker.add(option, `must be a non-empty string, or a list of them${other}`);
  }
  return list as string[];
}

function checkAlgorithms(checker: Checker): JwtAlgorithm[] {
  const given = checker.options.algorithms;
  const algorithms: unknown = Array.isArray(given) ? [...given] : given; // copied first, so that holes become undefined
  const names = Object.keys(ALGORITHMS).join(", ");
  if (!Array.isArray(algorithms) || algorithms.length === 0) {
    const such = `such as ["ES256"]; supported are ${names}`;
    refuseRequired(checker, "algorithms", {
      missing: `without it the token would choose how it is checked. Give a list, ${such}`,
      wrong: `must be a list, ${such}`,
    });
    return [];
  }
  const good = algorithms.filter(isAlgorithm);
  algorithms.forEach((name: unknown, i) => {
    if (isAlgorithm(name)) return;
    const isNone = typeof name === "string" && name.toLowerCase() === "none";
    const reason = isNone ? "would let anyone in: a token with it is not signed" : `is not one of ${names}`;
    checker.add(`algorithms[${i}]`, reason, name, isNone ? "ERR_PORTICO_UNSAFE_OPTION" : undefined);
  });
  if (new Set(good.map(isSymmetric)).size > 1) {
    const reason = "mixes secrets (HS…) with public keys: then a public key could be used as a secret";
    checker.add("algorithms", reason, undefined, "ERR_PORTICO_UNSAFE_OPTION");
    return [];
  }
  return good;
}

const OPTIONAL = "it is authenticate(jwt({ … }), { optional: true })";
const AT_AUTH = "the claims are contextOf(req).auth.principal, and req.auth.principal";
const ALWAYS_CHECKED = "it is always checked: give clockTolerance for clocks that differ";
const COMPARED = "give it in claims, or compare it in authorize((req) => …)";

/** Option names of other packages and what to write instead. */
export const FOREIGN: ForeignOptions = {
  "express-jwt": {
    secret: "key",
    credentialsRequired: OPTIONAL,
    getToken: "token",
    "requestProperty resultProperty userProperty": AT_AUTH,
    isRevoked:
      "ask in an authorize((req) => …) after authenticate: 403, or in the verify of a bearer() of your own",
    onExpired: "an expired token is always refused: authenticate's onReject is called with the reason",
    "subject jwtid nonce": COMPARED,
    maxAge: "there is none: compare iat in authorize((req) => …)",
    clockTimestamp: "there is none: mock the clock in a test",
    complete: "there is none: the principal is the claims alone",
    "ignoreExpiration ignoreNotBefore": ALWAYS_CHECKED,
    allowInvalidAsymmetricKeyTypes: "there is none: a key must fit its algorithm",
  },
  hono: {
    "secret keys": "key",
    alg: "algorithms",
    jwks_uri: "jwks",
    allow_anon: OPTIONAL,
    cookie: "read it with token: (req) => req.cookies.name, and check for CSRF before",
    headerName: "read it with token: (req) => req.get(name)",
    "verification verifyOptions": "each check has an option of its own: issuer, audience, clockTolerance",
  },
  "jwks-rsa": { jwksUri: "jwks" },
  "express-oauth2-jwt-bearer": {
    issuerBaseURL: "give issuer (exactly as in iss) and jwks (the address of the key set)",
    jwksUri: "jwks",
    secret: "key",
    tokenSigningAlg: "give a list: algorithms",
    authRequired: OPTIONAL,
    validators: COMPARED,
    strict: 'it is typ: "at+jwt"',
  },
  "passport-jwt": {
    secretOrKey: "key",
    secretOrKeyProvider: "jwks",
    jwtFromRequest: "token",
    jsonWebTokenOptions: "each check has an option of its own: clockTolerance, issuer, audience",
    passReqToCallback: "decide in authorize((req) => …), after authenticate",
  },
};
