import type { KeyObject } from "node:crypto";
import type { JWK } from "jose";
import { importJWK } from "jose/key/import";
import { type JwtAlgorithm, misfit, requirementsOf } from "./algorithms.js";
import type { CryptoKey, ReadKey } from "./key.js";

/** Finds the keys that a token may have been signed with. */
export interface KeySource {
  /**
   * The result is empty if no key fits, or too many do. Throws or rejects if the keys cannot be fetched.
   *
   * @param issuer already accepted by the option `issuer`
   */
  find(algorithm: JwtAlgorithm, kid: string | undefined, issuer: string): Keys | Promise<Keys>;
}

export type Keys = readonly CryptoKey[];

/** The imported keys of one algorithm. */
interface Imported {
  readonly all: Keys;
  readonly byKid: ReadonlyMap<string | undefined, Keys>;
}

/** The keys of the option `key`; imported on first use, once for each algorithm. */
export class StaticKeys implements KeySource {
  readonly #imported = new Map<JwtAlgorithm, Imported | Promise<Imported>>();

  constructor(private readonly read: readonly ReadKey[]) {}

  find(algorithm: JwtAlgorithm, kid: string | undefined): Keys | Promise<Keys> {
    const known = this.#imported.get(algorithm) ?? this.#import(algorithm);
    return known instanceof Promise ? known.then((keys) => choose(keys, kid)) : choose(known, kid);
  }

  #import(algorithm: JwtAlgorithm): Promise<Imported> {
    const fit = this.read.filter(({ properties }) => misfit(algorithm, properties) === undefined);
    const found = Promise.all(fit.map(({ key }) => imported(key, algorithm))).then((all): Imported => {
      const kids = fit.length === 1 ? [] : fit.map(({ kid }) => kid).filter((kid) => kid !== undefined);
      return { all, byKid: new Map(kids.map((kid) => [kid, all.filter((_, i) => fit[i]!.kid === kid)])) };
    });
    this.#imported.set(algorithm, found);
    found.then(
      (keys) => this.#imported.set(algorithm, keys),
      () => this.#imported.delete(algorithm),
    );
    return found;
  }
}

/** The keys with the token's `kid`; all keys, if none has it. */
function choose({ all, byKid }: Imported, kid: string | undefined): Keys {
  return (byKid.size > 0 && byKid.get(kid)) || all;
}

async function imported(key: KeyObject | CryptoKey, algorithm: JwtAlgorithm): Promise<CryptoKey> {
  if (!isKeyObject(key)) return key;
  if (key.type !== "secret") return importPublic(key.export({ format: "jwk" }), algorithm);
  const { name, hash } = requirementsOf(algorithm);
  // jose would import the bytes again for each token.
  return crypto.subtle.importKey("raw", key.export(), { name, hash: hash! }, false, ["verify"]);
}

export function isKeyObject(key: KeyObject | CryptoKey): key is KeyObject {
  return process.getBuiltinModule("node:util").types.isKeyObject(key);
}

export async function importPublic(jwk: object, algorithm: JwtAlgorithm): Promise<CryptoKey> {
  return (await importJWK(jwk as JWK, algorithm)) as CryptoKey;
}
