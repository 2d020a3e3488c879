import type { Entry } from "./entry.js";
import { fieldOf } from "./rules/fields.js";
import { type Policy, policyOf } from "./rules/policy.js";

type Pair = readonly [name: string, value: string | number | readonly string[]];

/** A stored response, made ready to be sent. */
export interface Compiled {
  readonly policy: Policy;
  /** What is sent as it was stored. */
  readonly pairs: readonly Pair[];
  /** The same without what describes a body, once it was needed. */
  bodiless: readonly Pair[] | undefined;
  readonly vary: string | undefined;
}

/** An entry of a store in this process stays the same object from hit to hit. */
const compiled = new WeakMap<Entry, Compiled>();

export function compile(entry: Entry): Compiled {
  let ready = compiled.get(entry);
  if (ready === undefined) {
    ready = compileNew(entry);
    compiled.set(entry, ready);
  }
  return ready;
}

function compileNew(entry: Entry): Compiled {
  const pairs = entry.headers.filter(([name]) => !MADE_ANEW.has(name.toLowerCase()));
  return {
    policy: policyOf(entry),
    pairs,
    bodiless: undefined,
    vary: fieldOf(entry.headers, "vary"),
  };
}

/** For 304 (RFC 9110 section 15.4.5). */
export function bodilessOf(ready: Compiled): readonly Pair[] {
  ready.bodiless ??= ready.pairs.filter(([name]) => !/^content-(?!location$|security)/i.test(name));
  return ready.bodiless;
}

/** Sent with each answer's own value. */
const MADE_ANEW = new Set(["age", "cache-status", "content-length", "vary"]);
