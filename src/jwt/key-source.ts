import type { KeyObject } from "node:crypto";
import type { JWK } from "jose";
import { importJWK } from "jose/key/import";
import { type JwtAlgorithm, ruleOf } from "./algorithms.js";
import type { CryptoKey, ReadKey } from "./key.js";

/** Where the keys come from that a token may have been signed with. */
export interface KeySource {
  /** None, if no key is fit, or too many are. Rejects if the keys cannot be had. */
  find(algorithm: JwtAlgorithm, kid: string | undefined): Keys | Promise<Keys>;
}

export type Keys = readonly CryptoKey[];

/** One key that never changes; imported on first use, once for each algorithm. */
export class OneKey implements KeySource {
  readonly #found = new Map<JwtAlgorithm, Keys | Promise<Keys>>();

  constructor(private readonly read: ReadKey) {}

  find(algorithm: JwtAlgorithm): Keys | Promise<Keys> {
    const known = this.#found.get(algorithm);
    if (known !== undefined) return known;
    const found = imported(this.read.key, algorithm).then((key) => [key]);
    this.#found.set(algorithm, found);
    found.then(
      (keys) => this.#found.set(algorithm, keys),
      () => this.#found.delete(algorithm),
    );
    return found;
  }
}

async function imported(key: KeyObject | CryptoKey, algorithm: JwtAlgorithm): Promise<CryptoKey> {
  if (!isKeyObject(key)) return key;
  if (key.type !== "secret") return importPublic(key.export({ format: "jwk" }), algorithm);
  const { name, hash } = ruleOf(algorithm);
  // jose would import the bytes anew for each token.
  return crypto.subtle.importKey("raw", key.export(), { name, hash: hash! }, false, ["verify"]);
}

function isKeyObject(key: KeyObject | CryptoKey): key is KeyObject {
  return process.getBuiltinModule("node:util").types.isKeyObject(key);
}

export async function importPublic(jwk: object, algorithm: JwtAlgorithm): Promise<CryptoKey> {
  return (await importJWK(jwk as JWK, algorithm)) as CryptoKey;
}
