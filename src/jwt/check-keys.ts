import { type Checker, refuseSecret } from "../lib/config/checker.js";
import { isSymmetric, type JwtAlgorithm, type KeyProperties, misfit } from "./algorithms.js";
import { PRIVATE_KEY, type ReadKey, readKey } from "./key.js";
import { isKeyObject, StaticKeys } from "./key-source.js";

/** All keys may have to be tried for a token without a `kid`. */
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
