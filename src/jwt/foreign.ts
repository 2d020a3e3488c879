import type { ForeignOptions } from "../lib/config/checker.js";

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
    requestProperty: AT_AUTH,
    resultProperty: AT_AUTH,
    userProperty: AT_AUTH,
    isRevoked:
      "ask in an authorize((req) => …) after authenticate: 403, or in the verify of a bearer() of your own",
    onExpired: "an expired token is always refused: authenticate's onReject is called with the reason",
    subject: COMPARED,
    jwtid: COMPARED,
    nonce: COMPARED,
    maxAge: "there is none: compare iat in authorize((req) => …)",
    clockTimestamp: "there is none: mock the clock in a test",
    complete: "there is none: the principal is the claims alone",
    ignoreExpiration: ALWAYS_CHECKED,
    ignoreNotBefore: ALWAYS_CHECKED,
    allowInvalidAsymmetricKeyTypes: "there is none: a key must fit its algorithm",
  },
  hono: {
    secret: "key",
    keys: "key",
    alg: "algorithms",
    jwks_uri: "jwks",
    allow_anon: OPTIONAL,
    cookie: "read it with token: (req) => req.cookies.name, and mount csrf before",
    headerName: "read it with token: (req) => req.get(name)",
    verification: "each check has an option of its own: issuer, audience, clockTolerance",
    verifyOptions: "each check has an option of its own: issuer, audience, clockTolerance",
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
