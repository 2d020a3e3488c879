import type { Entry } from "../entry.js";

/** An entry in memory, with what is needed to find it and to forget it. */
export class Stored {
  constructor(
    readonly key: string,
    readonly host: string,
    readonly division: string,
    readonly entry: Entry,
    /** Milliseconds since the epoch. */
    readonly expiresAt: number,
    /** Counts up with what is stored: the newest of several answers has the highest. */
    readonly order: number,
    /** The list of Vary fields that it is a variant under; undefined if it is all that its resource has. */
    readonly list: VaryList | undefined,
  ) {}
}

/** One list of Vary fields that a resource's answers have had, and the keys of the variants under it. */
export interface VaryList {
  /** No other list has it or had it: a list that is dropped takes its variants with it. */
  readonly id: number;
  readonly fields: string;
  readonly resource: Resource;
  readonly keys: Set<string>;
}

/** More are a sign of a handler that varies its Vary; the one that was used the longest ago goes. */
export const MAX_LISTS = 4;

/** A resource whose answers vary: they are stored under keys of their own. */
export class Resource {
  /** The latest used first. */
  readonly lists: VaryList[] = [];

  constructor(
    readonly key: string,
    readonly host: string,
  ) {}

  /** Puts the list to the front, made if it is new; returns the one that had to give way. */
  use(fields: string, newId: () => number): VaryList | undefined {
    const at = this.lists.findIndex((list) => list.fields === fields);
    const [list] =
      at === -1
        ? [{ id: newId(), fields, resource: this, keys: new Set<string>() }]
        : this.lists.splice(at, 1);
    this.lists.unshift(list!);
    return this.lists.length > MAX_LISTS ? this.lists.pop() : undefined;
  }
}

/** All requests of a division are one variant under a list without fields. */
export function variantKey({ id, fields }: VaryList, division: string, variant: string): string {
  return ` ${id} ${division.length} ${division}${fields === "" ? "" : variant}`;
}

/** The first space ends the host: none in the host itself, which may be whatever a client sent. */
export function resourceKey(host: string, target: string): string {
  return `${/[ %]/.test(host) ? host.replaceAll("%", "%25").replaceAll(" ", "%20") : host} ${target}`;
}
