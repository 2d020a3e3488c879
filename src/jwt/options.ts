import type { Checker } from "../config/check.js";
import { HIDDEN } from "../config/config-error.js";
import { oneOf, refuseRequired, refuseSecret, secretive } from "../config/credentials.js";
import { hrefOf } from "../config/href.js";
import { ALGORITHMS, isAlgorithm, isSymmetric, type JwtAlgorithm, misfit } from "./algorithms.js";
import { mediaType, type Rules } from "./claims.js";
import { FOREIGN } from "./foreign.js";
import { type JwtKey, readKey } from "./key.js";
import { type KeySource, OneKey } from "./key-source.js";
import { remoteKeys, withoutSecrets } from "./remote-keys.js";

export interface JwtOptions {
  /** Who issues the tokens: their `iss`, exactly. Several, if they have their keys in common. */
  readonly issuer: string | readonly string[];
  /** Whom the tokens are meant for: one of these must be in their `aud`, exactly. */
  readonly audience: string | readonly string[];
  /** The signature algorithms that are taken, and no others. Each must fit the key. */
  readonly algorithms: readonly JwtAlgorithm[];
  /** Where the issuer's key set is: an https: URL (http: on loopback). */
  readonly jwks?: string | URL | undefined;
  /** Instead of `jwks`: the issuer's public key, or for HS256, HS384 and HS512 the secret, as bytes. */
  readonly key?: JwtKey | undefined;
  /** By how many seconds the issuer's clock may differ, 0 to 300. Default: 5. */
  readonly clockTolerance?: number | undefined;
  /** What the header's `typ` must say: `"at+jwt"` for access tokens of RFC 9068. Default: anything. */
  readonly typ?: string | undefined;
}

export interface JwtPlan extends Rules {
  readonly keys: KeySource;
}

const KNOWN = [
  "issuer",
  "audience",
  "algorithms",
  "jwks",
  "key",
  "clockTolerance",
  "typ",
] as const satisfies (keyof JwtOptions)[];
const DEFAULT_TOLERANCE_SECONDS = 5;

export function checkOptions(options: unknown): JwtPlan {
  const checker = secretive("jwt()", options, KNOWN, FOREIGN);
  const issuers = texts(checker, "issuer");
  const audiences = texts(checker, "audience");
  const algorithms = checkAlgorithms(checker);
  const chosen = oneOf(checker, "jwks", "key");
  const keys = chosen === "jwks" ? checkJwks(checker, algorithms) : chosen && checkKey(checker, algorithms);
  const toleranceSeconds = checkTolerance(checker);
  const typ = mediaType(checker.string("typ"));
  if (typ === "") checker.add("typ", 'must be a type, such as "at+jwt"; for any, leave it out');
  checker.done();
  return { issuers, audiences, algorithms, toleranceSeconds, typ, keys: keys! };
}

function texts(checker: Checker, option: "issuer" | "audience"): string[] {
  const given = checker.options[option];
  const list: unknown[] = Array.isArray(given) ? [...given] : [given];
  if (list.includes(undefined)) {
    const missing = "without it any token of the key would do";
    if (option in checker.options) refuseSecret(checker, option, undefined, "");
    else refuseRequired(checker, option, { missing, wrong: "" });
  } else if (list.length === 0 || list.some((one) => typeof one !== "string" || one === "")) {
    checker.add(option, "must be a text that is not empty, or a list of such");
  }
  return list as string[];
}

function checkAlgorithms(checker: Checker): JwtAlgorithm[] {
  const given = checker.options.algorithms;
  const algorithms: unknown = Array.isArray(given) ? [...given] : given; // holes and all
  const names = Object.keys(ALGORITHMS).join(", ");
  if (!Array.isArray(algorithms) || algorithms.length === 0) {
    const such = `such as ["ES256"]; there are ${names}`;
    refuseRequired(checker, "algorithms", {
      missing: `else the token itself would say how it is to be checked. Give a list, ${such}`,
      wrong: `must be a list, ${such}`,
    });
    return [];
  }
  const good = algorithms.filter(isAlgorithm);
  algorithms.forEach((name: unknown, i) => {
    if (isAlgorithm(name)) return;
    const isNone = typeof name === "string" && name.toLowerCase() === "none";
    const reason = isNone ? "would let anyone in: such a token is not signed" : `is not one of ${names}`;
    checker.add(`algorithms[${i}]`, reason, name);
  });
  if (new Set(good.map(isSymmetric)).size > 1) {
    const reason = "mixes secrets (HS…) with public keys: then a public key could be used as a secret";
    checker.add("algorithms", reason);
    return [];
  }
  return good;
}

function checkKey(checker: Checker, algorithms: readonly JwtAlgorithm[]): KeySource | undefined {
  const { key } = checker.options;
  const read = key === undefined ? "" : readKey(key);
  if (typeof read === "string") {
    refuseSecret(checker, "key", key, read);
    return undefined;
  }
  for (const algorithm of algorithms) {
    const reason = misfit(algorithm, read.facts);
    if (reason !== undefined) checker.addSecret("key", `${algorithm} ${reason}`);
  }
  return new OneKey(read);
}

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

function checkJwks(checker: Checker, algorithms: readonly JwtAlgorithm[]): KeySource | undefined {
  const { jwks } = checker.options;
  if (algorithms.some(isSymmetric)) {
    checker.add(
      "algorithms",
      "has a secret's algorithm (HS…), and a key set is public: give the secret as key",
    );
  }
  if (jwks === undefined) {
    refuseSecret(checker, "jwks", undefined, "");
    return undefined;
  }
  const url = urlOf(jwks);
  if (url === undefined) {
    checker.add("jwks", "must be the URL of a key set: https://issuer.example/.well-known/jwks.json", HIDDEN);
  } else if (url.username !== "" || url.password !== "") {
    checker.addSecret("jwks", "must have no user name and no password in it: fetch refuses them");
  } else if (url.protocol !== "https:" && !(url.protocol === "http:" && LOOPBACK.test(url.hostname))) {
    const reason = "must be an https: URL (http: on loopback only): who can change the keys can sign";
    checker.add("jwks", reason, withoutSecrets(url.href));
  } else {
    url.hash = "";
    return remoteKeys(url.href);
  }
  return undefined;
}

function urlOf(given: unknown): URL | undefined {
  const text = hrefOf(given);
  return text !== undefined && URL.canParse(text) ? new URL(text) : undefined;
}

function checkTolerance(checker: Checker): number {
  const { clockTolerance = DEFAULT_TOLERANCE_SECONDS } = checker.options;
  if (typeof clockTolerance === "number" && clockTolerance >= 0 && clockTolerance <= 300)
    return clockTolerance;
  checker.add("clockTolerance", "must be a number of seconds from 0 to 300");
  return DEFAULT_TOLERANCE_SECONDS;
}
