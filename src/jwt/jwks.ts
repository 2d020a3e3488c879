import { type Checker, refuseSecret } from "../lib/config/checker.js";
import { HIDDEN, show } from "../lib/config/config-error.js";
import { hrefOf, isLoopback, urlOf } from "../lib/http/target.js";
import { stderrLogger } from "../lib/log/stderr-logger.js";
import { inProduction } from "../lib/values/environment.js";
import { disregard } from "../lib/values/thrown.js";
import { isSymmetric, type JwtAlgorithm } from "./algorithms.js";
import type { KeySource, Keys } from "./key-set.js";
import { RemoteKeys, remoteKeys, withoutSecrets } from "./remote-keys.js";

/** Reads the option `jwks`: a URL, or a function that returns the URL for an issuer. */
export function checkJwks(
  checker: Checker,
  algorithms: readonly JwtAlgorithm[],
  allowInsecure: boolean,
): KeySource | undefined {
  const { jwks } = checker.options;
  if (algorithms.some(isSymmetric)) {
    checker.add(
      "algorithms",
      "has an algorithm with a secret (HS…), and a key set is public: give the secret as key",
    );
  }
  if (jwks === undefined) {
    refuseSecret(checker, "jwks", undefined, "");
    return undefined;
  }
  if (typeof jwks === "function") {
    if (allowInsecure) warnOfInsecure();
    return new IssuerKeys(jwks as (iss: string) => unknown, allowInsecure);
  }
  const checked = checkUrl(jwks, allowInsecure);
  if (typeof checked !== "string") {
    const { reason, unsafe } = checked;
    checker.add(
      "jwks",
      reason,
      unsafe ?? HIDDEN,
      unsafe === undefined ? undefined : "ERR_PORTICO_UNSAFE_OPTION",
    );
    return undefined;
  }
  const url = new URL(checked);
  if (url.protocol === "http:" && !isLoopback(url)) warnOfInsecure(checked);
  return remoteKeys(checked);
}

let hasWarned = false;

/** Warns once per process. */
function warnOfInsecure(url?: string): void {
  if (hasWarned || !inProduction()) return;
  hasWarned = true;
  stderrLogger.warn(
    url === undefined ? {} : { url: withoutSecrets(url) },
    "jwt: allowInsecure fetches keys over http: anyone who can change them on the way can sign tokens",
  );
}

/** What is wrong with the URL of a key set. */
interface UrlFault {
  readonly reason: string;
  /** The URL without its query, if it is insecure. */
  readonly unsafe?: string;
}

/** The URL of a key set, without its fragment; or what is wrong with it. */
function checkUrl(given: unknown, allowInsecure: boolean): string | UrlFault {
  const text = hrefOf(given);
  const url = text === undefined ? undefined : urlOf(text);
  if (url === undefined) {
    return { reason: "must be the URL of a key set: https://issuer.example/.well-known/jwks.json" };
  }
  if (url.username !== "" || url.password !== "") {
    return { reason: "must have no user name and password: fetch refuses them" };
  }
  if (url.protocol !== "https:" && !(url.protocol === "http:" && (allowInsecure || isLoopback(url)))) {
    const reason =
      "must be an https: URL (http: on loopback, or with allowInsecure: true): anyone who can change the keys can sign";
    return { reason, unsafe: withoutSecrets(url.href) };
  }
  url.hash = "";
  return url.href;
}

const MAX_SETS = 100;
/** By URL, in the order of their last use; all schemes share them. */
const sets = new Map<string, RemoteKeys>();

/** The key sets of many issuers, each at the URL that the option `jwks`, a function, returns for the issuer. */
class IssuerKeys implements KeySource {
  constructor(
    private readonly urlOf: (issuer: string) => unknown,
    private readonly allowInsecure: boolean,
  ) {}

  find(algorithm: JwtAlgorithm, kid: string | undefined, issuer: string): Keys | Promise<Keys> {
    const given = this.urlOf(issuer);
    const checked = checkUrl(given, this.allowInsecure);
    if (typeof checked !== "string") {
      disregard(given); // an unhandled rejection would end the process
      throw new TypeError(`jwt: what jwks returned for the issuer ${show(issuer)} ${checked.reason}`);
    }
    return keysAt(checked).find(algorithm, kid);
  }
}

function keysAt(url: string): RemoteKeys {
  const keys = sets.get(url) ?? new RemoteKeys(url);
  sets.delete(url);
  sets.set(url, keys);
  if (sets.size > MAX_SETS) sets.delete(urlToEvict(url));
  return keys;
}

/** The URL of the set to remove: one that was never loaded, else the least recently used. So tokens of issuers without
 * keys cannot displace loaded sets. */
function urlToEvict(newest: string): string {
  for (const [url, keys] of sets) if (!keys.isLoaded && url !== newest) return url;
  return sets.keys().next().value!;
}
