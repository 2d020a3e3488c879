import { show } from "../lib/config/config-error.js";
import { disregard } from "../lib/values/thrown.js";
import type { JwtAlgorithm } from "./algorithms.js";
import { checkUrl } from "./jwks-url.js";
import type { KeySource, Keys } from "./key-source.js";
import { RemoteKeys } from "./remote-keys.js";

const MAX_SETS = 100;
/** By URL, in the order of their last use; all schemes share them. */
const sets = new Map<string, RemoteKeys>();

/** The key sets of many issuers, each at the URL that the option `jwks`, a function, returns for the issuer. */
export class IssuerKeys implements KeySource {
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

/** Removes sets that were never loaded first, so that tokens of issuers without keys cannot push out the others' sets. */
function urlToEvict(newest: string): string {
  for (const [url, keys] of sets) if (!keys.isLoaded && url !== newest) return url;
  return sets.keys().next().value!;
}
