import type { Request } from "express";
import {
  ABSENT,
  type AuthResult,
  BAD_TOKEN,
  bearerChallenge,
  bearerTokenOf,
  fieldCount,
  makeScheme,
  readAuthorization,
  type Scheme,
} from "../lib/http/auth-scheme.js";
import { quote } from "../lib/http/tokens.js";
import type { Auth } from "../lib/request/state.js";
import {
  authResultOf,
  type DefaultResult,
  digest,
  findByDigests,
  type PrincipalIn,
  readUserPass,
  type VerifyResult,
} from "./credentials.js";
import {
  type ApiKeyOptions,
  type BasicOptions,
  type BearerOptions,
  checkApiKey,
  checkBasic,
  checkBearer,
} from "./options.js";

const NOBODY: Auth["principal"] = Object.freeze({});
const MALFORMED: AuthResult = { kind: "failed", status: 400, reason: "malformed" };
const UNREADABLE: AuthResult = { kind: "failed", status: 401, reason: "malformed" };
const REFUSED: AuthResult = { kind: "failed", status: 401, reason: "rejected" };

/**
 * A scheme for bearer tokens in the Authorization header (RFC 6750). A malformed token is answered with 400, and one that
 * `verify` refuses with 401. Tokens in a query or a form are not read: they end up in logs and histories (RFC 9700,
 * section 4.3.2).
 *
 * @example
 * app.use("/api", authenticate(bearer({ verify: (token) => sessions.get(token) })));
 *
 * @example
 * const scheme = bearer({ realm: "orders", verify: async (token, req) => lookUp(token, req.hostname) });
 *
 * @throws {ConfigError} lists all problems of the options
 * @see docs/auth.md
 */
export function bearer<
  Principal extends object = object,
  Result extends VerifyResult<Principal> = DefaultResult<Principal>,
>(options: BearerOptions<Principal, Result>): Scheme<PrincipalIn<Result, Auth["principal"]>> {
  const { verify, ...challenge } = checkBearer(options);
  const { prefix = "Bearer" } = challenge;
  const scheme = prefix.toLowerCase();
  return makeScheme({
    name: "bearer",
    header: "Authorization",
    ...bearerChallenge(challenge),
    check(req) {
      const token = bearerTokenOf(req, scheme);
      return typeof token === "string" ? authResultOf(verify(token, req), NOBODY, BAD_TOKEN) : token;
    },
  });
}

/**
 * A scheme for user name and password in the Authorization header (RFC 7617), in UTF-8. Use it over TLS only: the
 * password is not encrypted.
 *
 * @example
 * authenticate(basic({ users: { ann: process.env.ANNS_PASSWORD } }));
 *
 * @example
 * authenticate(basic({ realm: "back office", verify: (user, password) => accounts.check(user, password) }));
 *
 * @throws {ConfigError} lists all problems of the options
 * @see docs/auth.md
 */
export function basic<
  Principal extends object = object,
  Result extends VerifyResult<Principal> = DefaultResult<Principal>,
>(options: BasicOptions<Principal, Result>): Scheme<PrincipalIn<Result, { readonly name: string }>> {
  const { verify, users, realm } = checkBasic(options);
  const entries = users.map(([name, password]) => ({
    digests: [digest(name), digest(password)],
    value: Object.freeze({ name }),
  }));
  return makeScheme({
    name: "basic",
    type: "Basic",
    header: "Authorization",
    challenge: `Basic realm=${quote(realm)}, charset="UTF-8"`,
    check(req) {
      const sent = readAuthorization(req);
      if (sent.kind === "malformed" && fieldCount(req, "authorization") > 1) return MALFORMED;
      if (sent.kind !== "sent" || sent.scheme !== "basic") return ABSENT;
      const credentials = readUserPass(sent.rest);
      if (credentials === undefined) return UNREADABLE;
      const { user, password } = credentials;
      if (verify !== undefined) return authResultOf(verify(user, password, req), { name: user }, REFUSED);
      return authResultOf(findByDigests(entries, [digest(user), digest(password)]), NOBODY, REFUSED);
    },
  });
}

/**
 * A scheme for a key in a header of its own, by default `X-Api-Key`. As there is no standard for it, the challenge names
 * the header.
 *
 * @example
 * authenticate(apiKey({ keys: [process.env.API_KEY] }));
 *
 * @example
 * authenticate(apiKey({ header: "x-partner-key", verify: async (key) => partners.byKey(key) }));
 *
 * @throws {ConfigError} lists all problems of the options
 * @see docs/auth.md
 */
export function apiKey<
  Principal extends object = object,
  Result extends VerifyResult<Principal> = DefaultResult<Principal>,
>(options: ApiKeyOptions<Principal, Result>): Scheme<PrincipalIn<Result, Auth["principal"]>> {
  const { header, verify, keys } = checkApiKey(options);
  const entries = keys.map(([key, principal]) => ({ digests: [digest(key)], value: principal }));
  return makeScheme({
    name: "apiKey",
    type: "ApiKey",
    header,
    challenge: `ApiKey header=${quote(header)}`,
    check(req: Request) {
      const key = req.headers[header];
      if (key === undefined) return ABSENT;
      if (typeof key !== "string" || fieldCount(req, header) > 1) return MALFORMED;
      if (key === "") return UNREADABLE;
      return authResultOf(
        verify === undefined ? findByDigests(entries, [digest(key)]) : verify(key, req),
        NOBODY,
        REFUSED,
      );
    },
  });
}
