import type { Entry } from "./entry.js";
import { fieldOf } from "./rules/fields.js";
import { type Policy, policyOf } from "./rules/policy.js";

type Pair = readonly [name: string, value: string | number | readonly string[]];

/** What is computed once for a stored answer, to send it fast. */
export interface ReadyEntry {
  readonly policy: Policy;
  /** The headers that are sent as they were stored. */
  readonly pairs: readonly Pair[];
  /** The same without those that describe a body; made when first needed. */
  bodiless: readonly Pair[] | undefined;
  readonly vary: string | undefined;
}

/** Keyed by the entry: the memory store returns the same object for each hit. */
const readyEntries = new WeakMap<Entry, ReadyEntry>();

export function readyEntry(entry: Entry): ReadyEntry {
  let ready = readyEntries.get(entry);
  if (ready === undefined) {
    ready = prepareEntry(entry);
    readyEntries.set(entry, ready);
  }
  return ready;
}

function prepareEntry(entry: Entry): ReadyEntry {
  const pairs = entry.headers.filter(([name]) => !SET_PER_ANSWER.has(name.toLowerCase()));
  return {
    policy: policyOf(entry),
    pairs,
    bodiless: undefined,
    vary: fieldOf(entry.headers, "vary"),
  };
}

/** The headers of a 304 (RFC 9110 section 15.4.5). */
export function bodilessOf(ready: ReadyEntry): readonly Pair[] {
  ready.bodiless ??= ready.pairs.filter(([name]) => !/^content-(?!location$|security)/i.test(name));
  return ready.bodiless;
}

/** Each answer gets its own value of these. */
const SET_PER_ANSWER = new Set(["age", "cache-status", "content-length", "vary"]);
