import type { JwtAlgorithm } from "./algorithms.js";
import { isFor, type Jwk, readJwk } from "./jwk.js";
import type { CryptoKey } from "./key.js";
import { importPublic, type Keys } from "./key-source.js";

/** Keys that share an id and an algorithm are tried one after the other; no issuer has more of them. */
const MAX_TRIED = 4;

/** A JSON Web Key Set (RFC 7517, section 5), as it was at one time. */
export class KeySet {
  readonly #all: readonly Jwk[];
  readonly #byKid = new Map<string | undefined, Jwk[]>();
  readonly #imported = new Map<string, Keys | Promise<Keys>>();

  /** @throws if it is no key set, or has no key that a signature could be checked with */
  constructor(parsed: unknown) {
    const listed = (parsed as { keys?: unknown } | null | undefined)?.keys;
    if (!Array.isArray(listed)) throw new Error("what was sent is no JSON Web Key Set");
    // Secrets have no place in a set that everybody can read.
    const keys = listed.map(readJwk).filter((key) => typeof key !== "string" && key.kty !== "oct") as Jwk[];
    if (keys.length === 0) throw new Error("there is no key to check signatures with in what was sent");
    this.#all = keys;
    for (const key of keys) {
      const same = this.#byKid.get(key.kid);
      if (same === undefined) this.#byKid.set(key.kid, [key]);
      else same.push(key);
    }
  }

  /** Undefined if there is no such key; none, if a token without an id could be of several. */
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

/** Without those whose members make no key: one fault of an issuer does not cost all its tokens. */
async function importAll(algorithm: JwtAlgorithm, fit: readonly Jwk[]): Promise<Keys> {
  const keys = await Promise.all(
    fit.map((key) => importPublic(key.members, algorithm).catch(() => undefined)),
  );
  return keys.filter((key): key is CryptoKey => key !== undefined);
}
