import type { Request } from "express";
import {
  type Checker,
  checkerOfSecrets,
  type ForeignOptions,
  isBag,
  oneOf,
  refuseRequired,
  refuseSecret,
} from "../lib/config/checker.js";
import { checkPrefix, checkResourceMetadata, DEFAULT_REALM } from "../lib/http/auth-scheme.js";
import { isToken } from "../lib/http/tokens.js";
import type { Auth } from "../lib/request/state.js";
import { isPrincipal, type VerifyResult } from "./credentials.js";

export interface BearerOptions<Principal extends object = object, Result = VerifyResult<Principal>> {
  /** Returns the principal (an object) of the token, or `true`; the request passes for nothing else. */
  readonly verify: (token: string, req: Request) => Result;
  /** The realm in the challenge. @defaultValue `"api"` */
  readonly realm?: string | undefined;
  /** The scheme's name in the Authorization header and in the challenge. @defaultValue `"Bearer"` */
  readonly prefix?: string | undefined;
  /** The URL of the protected resource's metadata (RFC 9728), for every challenge. @defaultValue none */
  readonly resourceMetadata?: string | URL | undefined;
}

export interface BasicOptions<Principal extends object = object, Result = VerifyResult<Principal>> {
  /** Returns the principal, or `true` (then it is `{name: user}`); the request passes for nothing else. */
  readonly verify?: ((user: string, password: string, req: Request) => Result) | undefined;
  /** Instead of `verify`: passwords by user name. */
  readonly users?: Readonly<Record<string, string | undefined>> | undefined;
  /** The realm in the challenge. @defaultValue `"api"` */
  readonly realm?: string | undefined;
}

export interface ApiKeyOptions<Principal extends object = object, Result = VerifyResult<Principal>> {
  /** The header's name. @defaultValue `"x-api-key"` */
  readonly header?: string | undefined;
  /** Returns the principal (an object) of the key, or `true`; the request passes for nothing else. */
  readonly verify?: ((key: string, req: Request) => Result) | undefined;
  /** Instead of `verify`: a list of keys, or an object with the principal for each key. */
  readonly keys?: readonly (string | undefined)[] | Readonly<Record<string, Principal>> | undefined;
}

interface BearerPlan {
  readonly verify: BearerOptions["verify"];
  readonly realm: string;
  readonly prefix: string | undefined;
  readonly resourceMetadata: string | undefined;
}

export function checkBearer(options: unknown): BearerPlan {
  const known = ["verify", "realm", "prefix", "resourceMetadata"] satisfies (keyof BearerOptions)[];
  const checker = checkerOfSecrets("bearer()", options, known, BEARER_FOREIGN);
  const verify = requiredVerify<BearerOptions["verify"]>(checker, "(token, req) => principal | boolean");
  const realm = checkRealm(checker);
  const prefix = checkPrefix(checker);
  const resourceMetadata = checkResourceMetadata(checker);
  checker.done();
  return { verify: verify!, realm, prefix, resourceMetadata };
}

interface BasicPlan {
  readonly verify: BasicOptions["verify"];
  readonly users: readonly (readonly [string, string])[];
  readonly realm: string;
}

export function checkBasic(options: unknown): BasicPlan {
  const checker = checkerOfSecrets("basic()", options, ["verify", "users", "realm"], BASIC_FOREIGN);
  const chosen = oneOf(checker, "verify", "users");
  const verify =
    chosen === "verify"
      ? requiredVerify<BasicOptions["verify"]>(checker, "(user, password, req) => principal | boolean")
      : undefined;
  const users = chosen === "users" ? checkUsers(checker) : [];
  const realm = checkRealm(checker);
  checker.done();
  return { verify, users, realm };
}

interface ApiKeyPlan {
  readonly header: string;
  readonly verify: ApiKeyOptions["verify"];
  readonly keys: readonly (readonly [string, Auth["principal"]])[];
}

export function checkApiKey(options: unknown): ApiKeyPlan {
  const checker = checkerOfSecrets("apiKey()", options, ["header", "verify", "keys"], API_KEY_FOREIGN);
  const header = checker.string("header") ?? "x-api-key";
  if (!isToken(header)) checker.add("header", 'must be a header name, such as "x-api-key"');
  if (/^(?:authorization|proxy-authorization|cookie|host|set-cookie)$/i.test(header)) {
    checker.add("header", "must be a header of its own; for Authorization use bearer() or basic()");
  }
  const chosen = oneOf(checker, "verify", "keys");
  const verify =
    chosen === "verify"
      ? requiredVerify<ApiKeyOptions["verify"]>(checker, "(key, req) => principal | boolean")
      : undefined;
  const keys = chosen === "keys" ? checkKeys(checker) : [];
  checker.done();
  return { header: header.toLowerCase(), verify, keys };
}

function requiredVerify<F>(checker: Checker, form: string): F | undefined {
  const { verify } = checker.options;
  if (typeof verify === "function") return verify as F;
  refuseRequired(checker, "verify", {
    missing: `a function ${form}`,
    wrong: `must be a function ${form}`,
  });
  return undefined;
}

function checkRealm(checker: Checker): string {
  const realm = checker.string("realm") ?? DEFAULT_REALM;
  if (!/^[\x20-\x7e]*$/.test(realm)) checker.add("realm", "must be printable ASCII: it is sent in a header");
  return realm;
}

function checkUsers(checker: Checker): [string, string][] {
  const { users } = checker.options;
  if (!isBag(users)) {
    refuseSecret(checker, "users", users, "must be an object of passwords by user name");
    return [];
  }
  const entries = Object.entries(users);
  if (entries.length === 0) checker.addSecret("users", "has no user, so every request would be refused");
  for (const [name, password] of entries) {
    if (name.includes(":") || /[\x00-\x1f\x7f]/.test(name))
      checker.addSecret(
        "users",
        "has a name with a colon or a control character, which cannot be sent (RFC 7617, section 2)",
      );
    if (typeof password !== "string" || password === "") {
      refuseSecret(checker, `users.${name}`, password, "must be a password: a string that is not empty");
    } else if (/[\x00-\x1f\x7f]/.test(password))
      checker.addSecret(
        `users.${name}`,
        "has a control character, which cannot be sent (RFC 7617, section 2); is there a line break at its end?",
      );
  }
  return entries as [string, string][];
}

const NOBODY: Auth["principal"] = Object.freeze({});

function checkKeys(checker: Checker): (readonly [string, Auth["principal"]])[] {
  const { keys } = checker.options;
  if (!Array.isArray(keys) && !isBag(keys)) {
    refuseSecret(checker, "keys", keys, "must be a list of keys, or an object: the principal for each key");
    return [];
  }
  const entries: [unknown, unknown][] = Array.isArray(keys)
    ? Array.from(keys, (key): [unknown, unknown] => [key, NOBODY])
    : Object.entries(keys);
  if (entries.length === 0) checker.addSecret("keys", "is empty, so every request would be refused");
  entries.forEach(([key, principal], i) => {
    const option = `keys[${i}]`; // by index: the key itself is a secret
    if (typeof key !== "string") refuseSecret(checker, option, key, "must be a string");
    else if (!/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(key)) {
      checker.addSecret(
        option,
        "must be printable ASCII, without white space at its ends: nothing else arrives in a header",
      );
    }
    if (!isPrincipal(principal))
      checker.addSecret(option, 'must have an object as its principal: {name: "ann"}');
  });
  return entries.map(([key, principal]) => [
    key as string,
    isPrincipal(principal) ? Object.freeze({ ...principal }) : NOBODY, // frozen: all requests with this key share it
  ]);
}

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
