import type { Request } from "express";
import {
  type Checker,
  eitherOf,
  type ForeignOptions,
  isBag,
  refuseRequired,
  refuseSecret,
} from "../lib/config/checker.js";
import { checked, type Reader, readOptions, type SchemaOf, string } from "../lib/config/schema.js";
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

export const BEARER_OPTIONS = () =>
  ({
    verify: verifier("(token, req) => principal | boolean"),
    realm: realm(),
    prefix: checkPrefix,
    resourceMetadata: checkResourceMetadata,
  }) satisfies SchemaOf<BearerOptions>;

export function checkBearer(options: unknown) {
  const settings = { foreign: BEARER_FOREIGN, hasSecrets: true };
  const { checker, plan } = readOptions("bearer()", BEARER_OPTIONS, options, settings);
  return checker.done(plan);
}

export const BASIC_OPTIONS = () =>
  ({
    verify: either("users", verifier("(user, password, req) => principal | boolean")),
    users: instead("verify", checkUsers),
    realm: realm(),
  }) satisfies SchemaOf<BasicOptions>;

export function checkBasic(options: unknown) {
  const settings = { foreign: BASIC_FOREIGN, hasSecrets: true };
  const { checker, plan } = readOptions("basic()", BASIC_OPTIONS, options, settings);
  return checker.done(plan);
}

export const API_KEY_OPTIONS = () =>
  ({
    header: checked(string("x-api-key"), (header) => {
      if (!isToken(header)) return 'must be a header name, such as "x-api-key"';
      return /^(?:authorization|proxy-authorization|cookie|host|set-cookie)$/i.test(header)
        ? "must be a header of its own; for Authorization use bearer() or basic()"
        : undefined;
    }),
    verify: either("keys", verifier("(key, req) => principal | boolean")),
    keys: instead("verify", checkKeys),
  }) satisfies SchemaOf<ApiKeyOptions>;

export function checkApiKey(options: unknown) {
  const settings = { foreign: API_KEY_FOREIGN, hasSecrets: true };
  const { checker, plan } = readOptions("apiKey()", API_KEY_OPTIONS, options, settings);
  return checker.done({ ...plan, header: plan.header.toLowerCase() });
}

function verifier<F>(form: string): Reader<F, F> {
  return (checker, option) => {
    const verify = checker.options[option];
    if (typeof verify !== "function") {
      refuseRequired(checker, option, {
        missing: `a function ${form}`,
        wrong: `must be a function ${form}`,
      });
    }
    return verify as F;
  };
}

/** Reads an option if it is given. Reports the problem if neither it nor the other option is given, or both are. */
function either<Value, Given>(other: string, read: Reader<Value, Given>): Reader<Value | undefined, Given> {
  return (checker, option) =>
    eitherOf(checker, option, other) === option ? read(checker, option) : undefined;
}

/** Reads the other option of an `either`, which reports the problems of both together. */
function instead<Value>(other: string, read: (checker: Checker) => Value[]): Reader<Value[]> {
  return (checker, option) => (option in checker.options && !(other in checker.options) ? read(checker) : []);
}

function realm() {
  return checked(string(DEFAULT_REALM), (text) =>
    /^[\x20-\x7e]*$/.test(text) ? undefined : "must be printable ASCII: it is sent in a header",
  );
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
export const BEARER_FOREIGN: ForeignOptions = {
  hono: {
    token: "compare it in verify: (token) => …, or give the list as apiKey's keys",
    verifyToken: "verify",
    headerName: "it is apiKey({ header, verify }): bearer() reads Authorization",
    hashFunction: HASHED,
    "noAuthenticationHeader noAuthenticationHeaderMessage invalidAuthenticationHeader": OWN_TEXT,
    "invalidAuthenticationHeaderMessage invalidToken invalidTokenMessage": OWN_TEXT,
  },
  "the MCP SDK": {
    verifier: "give its verifyAccessToken as verify",
    resourceMetadataUrl: "resourceMetadata",
    requiredScopes: "it is requireScopes(…), after authenticate",
  },
};

export const BASIC_FOREIGN: ForeignOptions = {
  hono: {
    "username password": "give users: { name: password }",
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
