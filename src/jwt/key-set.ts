import type { JwtAlgorithm } from "./algorithms.js";
import { isFor, type Jwk, readJwk } from "./jwk.js";
import type { CryptoKey } from "./key.js";
import { importPublic, type Keys } from "./key-source.js";

/** Keys with the same id and algorithm are tried one after the other; issuers do not have more than these. */
const MAX_TRIED = 4;

/** A JSON Web Key Set (RFC 7517, section 5), as it was fetched. */
export class KeySet {
  readonly #all: readonly Jwk[];
  readonly #byKid = new Map<string | undefined, Jwk[]>();
  readonly #imported = new Map<string, Keys | Promise<Keys>>();

  /** @throws if it is no key set, or has no key that can check signatures */
  constructor(parsed: unknown) {
    const listed = (parsed as { keys?: unknown } | null | undefined)?.keys;
    if (!Array.isArray(listed)) throw new Error("the body is not a JSON Web Key Set");
    // A secret in a public set is no secret.
    const keys = listed.map(readJwk).filter((key) => typeof key !== "string" && key.kty !== "oct") as Jwk[];
    if (keys.length === 0) throw new Error("the key set has no key that can check signatures");
    this.#all = keys;
    for (const key of keys) {
      const same = this.#byKid.get(key.kid);
      if (same === undefined) this.#byKid.set(key.kid, [key]);
      else same.push(key);
    }
  }

  /** Undefined if there is no such key; an empty list if several keys fit and the token names none of them. */
  find(algorithm: JwtAlgorithm, kid: string | undefined): Keys | Promise<Keys> | undefined {
    const name = kid === undefined ? algorithm : `${algorithm} ${kid}`;
    const known = this.#imported.get(name);
    if (known !== undefined) return known;
    const listed = kid === undefined ? this.#all : (this.#byKid.get(kid) ?? []);
    const fit = listed.filter((key) => isFor(algorithm, key));
    if (fit.length === 0) return undefined;
    if (fit.length > (kid === undefined ? 1 : MAX_TRIED)) return [];
    const found = importAll(algorithm, fit);
    this.#imported.set(name, found);
    void found.then((keys) => this.#imported.set(name, keys));
    return found;
  }
}

/** Leaves out keys that cannot be imported, so that one broken key does not fail all tokens of the issuer. */
async function importAll(algorithm: JwtAlgorithm, fit: readonly Jwk[]): Promise<Keys> {
  const keys = await Promise.all(
    fit.map((key) => importPublic(key.members, algorithm).catch(() => undefined)),
  );
  return keys.filter((key): key is CryptoKey => key !== undefined);
}
