import type { Entry } from "../entry.js";

/** An entry in memory, with what is needed to find it and to remove it. */
export class StoredEntry {
  constructor(
    readonly key: string,
    readonly host: string,
    readonly partition: string,
    readonly entry: Entry,
    /** Milliseconds since the epoch. */
    readonly expiresAt: number,
    /** Of several answers the newest has the highest. */
    readonly order: number,
    /** The list of Vary fields that it is a variant under; undefined if its resource has no variants. */
    readonly list: VaryList | undefined,
  ) {}
}

/** One list of Vary fields of a resource's answers, and the keys of the variants under it. */
export interface VaryList {
  /** Unique for all time, so that the keys of variants of a dropped list are never used again. */
  readonly id: number;
  readonly fields: string;
  readonly resource: Resource;
  readonly keys: Set<string>;
}

/** With more lists, the least recently used is dropped: a handler whose Vary changes all the time must not fill the store. */
export const MAX_LISTS = 4;

/** A resource with variants, which are stored under keys of their own. */
export class Resource {
  /** The most recently used first. */
  readonly lists: VaryList[] = [];

  constructor(
    readonly key: string,
    readonly host: string,
  ) {}

  /** Moves the list to the front, or adds it; returns the list that is dropped for it. */
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

/** Under an empty list of fields, all requests of a partition are one variant. */
export function variantKey({ id, fields }: VaryList, partition: string, variant: string): string {
  return ` ${id} ${partition.length} ${partition}${fields === "" ? "" : variant}`;
}

/** The first space ends the host, so spaces in the host, which the client chose, are escaped. */
export function resourceKey(host: string, target: string): string {
  return `${/[ %]/.test(host) ? host.replaceAll("%", "%25").replaceAll(" ", "%20") : host} ${target}`;
}
