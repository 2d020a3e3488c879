import type { KeyObject } from "node:crypto";
import { type Checker, refuseSecret } from "../lib/config/checker.js";
import { isSymmetric, type JwtAlgorithm, type KeyProperties, misfit, requirementsOf } from "./algorithms.js";
import { type CryptoKey, importPublic, type KeySource, type Keys } from "./key-set.js";
import { PRIVATE_KEY, type ReadKey, readKey } from "./read-key.js";

/** The most keys: for a token without a `kid`, all of them may have to be tried. */
const MAX_KEYS = 10;

/** Reads the option `key`: one key, or a list of keys that are in use at the same time (rotation). */
export function checkKeys(checker: Checker, algorithms: readonly JwtAlgorithm[]): StaticKeys | undefined {
  const { key } = checker.options;
  const listed = Array.isArray(key);
  const given: unknown[] = listed ? [...key] : [key];
  if (given.length === 0 || given.length > MAX_KEYS) {
    checker.addSecret("key", `must be a key, or a list of 1 to ${MAX_KEYS}`);
    return undefined;
  }
  const read = given.map((one, i): ReadKey | undefined => {
    const option = listed ? `key[${i}]` : "key";
    const result = one === undefined ? "" : readKey(one);
    if (typeof result !== "string") return result;
    if (result.startsWith(PRIVATE_KEY)) checker.addSecret(option, result, "ERR_PORTICO_UNSAFE_OPTION");
    else refuseSecret(checker, option, one, result);
    return undefined;
  });
  const keys = read.filter((one) => one !== undefined);
  if (keys.length < read.length) return undefined;
  if (listed) checkList(checker, keys, algorithms);
  else checkOne(checker, keys[0]!, algorithms);
  return new StaticKeys(keys);
}

function checkOne(checker: Checker, { properties }: ReadKey, algorithms: readonly JwtAlgorithm[]): void {
  for (const algorithm of algorithms) {
    const reason = misfitOf(algorithm, properties);
    if (reason !== undefined) checker.addSecret("key", `${algorithm} ${reason}`);
  }
}

/** Like `misfit`, with a warning if a public key would be used as a secret: then anyone could sign. */
function misfitOf(algorithm: JwtAlgorithm, properties: KeyProperties): string | undefined {
  const reason = misfit(algorithm, properties);
  const isPublic = reason !== undefined && isSymmetric(algorithm) && properties.kty !== "oct";
  return isPublic ? `${reason}: a public key is no secret, anyone may know it` : reason;
}

function checkList(checker: Checker, keys: readonly ReadKey[], algorithms: readonly JwtAlgorithm[]): void {
  if (new Set(keys.map(({ properties }) => properties.kty === "oct")).size > 1) {
    const reason = "mixes secrets with public keys: anyone who has a secret can sign";
    checker.addSecret("key", reason, "ERR_PORTICO_UNSAFE_OPTION");
    return;
  }
  keys.forEach((one, i) => {
    const first = keys.slice(0, i).findIndex((other) => isSame(one, other));
    if (first !== -1) checker.addSecret(`key[${i}]`, `is the same key as key[${first}]`);
    const reasons = algorithms.map((algorithm) => misfitOf(algorithm, one.properties));
    if (algorithms.length === 0 || reasons.includes(undefined)) return;
    checker.addSecret(`key[${i}]`, `fits none of the algorithms: ${algorithms[0]} ${reasons[0]}`);
  });
  for (const algorithm of algorithms) {
    if (keys.some(({ properties }) => misfit(algorithm, properties) === undefined)) continue;
    checker.addSecret("key", `has no key for ${algorithm}`);
  }
}

function isSame(one: ReadKey, other: ReadKey): boolean {
  return keyObjectOf(one).equals(keyObjectOf(other)) && one.properties.alg === other.properties.alg;
}

function keyObjectOf({ key }: ReadKey) {
  return isKeyObject(key) ? key : process.getBuiltinModule("node:crypto").KeyObject.from(key);
}

/** The imported keys of one algorithm. */
interface Imported {
  readonly all: Keys;
  readonly byKid: ReadonlyMap<string | undefined, Keys>;
}

/** The keys of the option `key`; imported on first use, once for each algorithm. */
class StaticKeys implements KeySource {
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

function isKeyObject(key: KeyObject | CryptoKey): key is KeyObject {
  return process.getBuiltinModule("node:util").types.isKeyObject(key);
}
