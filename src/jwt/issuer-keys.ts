import { show } from "../lib/config/config-error.js";
import { disregard } from "../lib/values/thrown.js";
import type { JwtAlgorithm } from "./algorithms.js";
import { faultOfUrl } from "./jwks-url.js";
import type { KeySource, Keys } from "./key-source.js";
import { RemoteKeys } from "./remote-keys.js";

const MAX_SETS = 100;
/** In the order of their last use. Issuers with one URL share the set, as do all schemes. */
const sets = new Map<string, RemoteKeys>();

/** The key sets of many issuers, each by the URL that a function gives for it. */
export class IssuerKeys implements KeySource {
  constructor(
    private readonly urlOf: (issuer: string) => unknown,
    private readonly allowInsecure: boolean,
  ) {}

  find(algorithm: JwtAlgorithm, kid: string | undefined, issuer: string): Keys | Promise<Keys> {
    const given = this.urlOf(issuer);
    const checked = faultOfUrl(given, this.allowInsecure);
    if (typeof checked !== "string") {
      disregard(given); // a promise that is rejected would end the process
      throw new TypeError(`jwt: what jwks returned for the issuer ${show(issuer)} ${checked.reason}`);
    }
    return keysAt(checked).find(algorithm, kid);
  }
}

function keysAt(url: string): RemoteKeys {
  const keys = sets.get(url) ?? new RemoteKeys(url);
  sets.delete(url);
  sets.set(url, keys);
  if (sets.size > MAX_SETS) sets.delete(leastWanted(url));
  return keys;
}

/** A set that could not be had yet goes first: tokens of issuers without keys must not cost the others theirs. */
function leastWanted(newest: string): string {
  for (const [url, keys] of sets) if (!keys.isLoaded && url !== newest) return url;
  return sets.keys().next().value!;
}
