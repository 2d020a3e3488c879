import type { ForeignOptions } from "../lib/config/checker.js";

const OWN_TEXT = "the answer is a problem document of requestContext's render";
const HASHED = "there is none: both sides are compared as SHA-256 digests";

/** Option names of other packages and what to write instead, for each factory. */
export const AUTHENTICATE_FOREIGN: ForeignOptions = {
  "express-jwt": { credentialsRequired: "give optional: true for credentialsRequired: false" },
  "express-oauth2-jwt-bearer": { authRequired: "give optional: true for authRequired: false" },
  passport: { session: "there is none: mount express-session, and authorize((req) => …)" },
};

export const BEARER_FOREIGN: ForeignOptions = {
  hono: {
    token: "compare it in verify: (token) => …, or give the list as apiKey's keys",
    verifyToken: "verify",
    headerName: "it is apiKey({ header, verify }): bearer() reads Authorization",
    hashFunction: HASHED,
    noAuthenticationHeader: OWN_TEXT,
    noAuthenticationHeaderMessage: OWN_TEXT,
    invalidAuthenticationHeader: OWN_TEXT,
    invalidAuthenticationHeaderMessage: OWN_TEXT,
    invalidToken: OWN_TEXT,
    invalidTokenMessage: OWN_TEXT,
  },
  "the MCP SDK": {
    verifier: "give its verifyAccessToken as verify",
    resourceMetadataUrl: "resourceMetadata",
    requiredScopes: "it is requireScopes(…), after authenticate",
  },
};

export const BASIC_FOREIGN: ForeignOptions = {
  hono: {
    username: "give users: { name: password }",
    password: "give users: { name: password }",
    verifyUser: "verify",
    hashFunction: HASHED,
    invalidUserMessage: OWN_TEXT,
    onAuthSuccess: "the user is contextOf(req).auth.principal, in the handlers after it",
  },
  "express-basic-auth": {
    authorizer: "verify",
    authorizeAsync: "it is not needed: verify may return a promise",
    challenge: "it is not needed: a 401 always has its challenge",
    unauthorizedResponse: OWN_TEXT,
  },
};

export const API_KEY_FOREIGN: ForeignOptions = {
  hono: { token: "keys", headerName: "header", verifyToken: "verify", hashFunction: HASHED },
};
