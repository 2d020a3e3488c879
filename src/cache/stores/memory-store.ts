import type { LRUCache } from "lru-cache";
import { flat, loadLru } from "../lru.js";
import type {
  CacheStore,
  Entry,
  Lookup,
  PurgeTarget,
  ResourceKey,
  StoreStats,
  VariantOf,
} from "./cache-store.js";
import {
  compact,
  PurgeMarks,
  Resource,
  resourceKey,
  StoredEntry,
  type VaryList,
  variantKey,
  weightOf,
} from "./memory-resources.js";

export interface MemoryPlan {
  readonly maxBytes: number;
  readonly maxEntryBytes: number;
}

/** The memory that a resource takes beside its variants. */
const RESOURCE_BYTES = 1_200;

/** The store of `memoryStore`. */
export class MemoryStore implements CacheStore {
  readonly maxEntryBytes: number;
  readonly #maxBytes: number;
  readonly #items: LRUCache<string, StoredEntry | Resource>;
  /** The number of resources of each host: a purge on all hosts looks at each host. */
  readonly #hosts = new Map<string, number>();
  readonly #tags = new Map<string, Set<string>>();
  readonly #marks = new PurgeMarks();
  /** Resources that were evicted or have no variants left. They are cleaned up later: the map cannot change while it evicts. */
  readonly #toCleanUp: Resource[] = [];
  #entries = 0;
  #purges = 0;
  #order = 0;
  #lists = 0;

  constructor({ maxBytes, maxEntryBytes }: MemoryPlan) {
    this.#maxBytes = maxBytes;
    this.maxEntryBytes = maxEntryBytes;
    this.#items = new (loadLru())({
      maxSize: maxBytes,
      dispose: (item, _key, reason) => this.#onRemoved(item, reason === "set"),
    });
  }

  get(key: ResourceKey, variantOf: VariantOf): Lookup {
    const found = this.#items.get(resourceKey(key.host, key.target));
    if (found === undefined) return { entry: undefined, known: false, version: this.#purges };
    if (!(found instanceof StoredEntry)) return this.#choose(found, key.partition, variantOf);
    if (found.expiresAt > Date.now()) {
      const entry = found.partition === key.partition ? found.entry : undefined;
      return { entry, known: true, version: this.#purges };
    }
    this.#items.delete(found.key);
    return { entry: undefined, known: false, version: this.#purges };
  }

  put(
    key: ResourceKey,
    fields: string,
    variant: string,
    entry: Entry,
    version: number,
    keepMs: number,
  ): void {
    const { target } = key;
    const own = flat(resourceKey(key.host, target));
    const now = Date.now();
    if (!(keepMs > 0) || entry.body.length > this.maxEntryBytes) return;
    if (version !== this.#purges && this.#wasPurged(version, own, target, entry)) return;
    const kept = compact(entry);
    const host = flat(key.host);
    const partition = flat(key.partition);
    let found = this.#items.get(own);
    if (
      found instanceof StoredEntry &&
      (found.expiresAt <= now || (fields === "" && found.partition === partition))
    ) {
      found = undefined; // replaced
    }
    if (found === undefined && fields === "") {
      this.#add(new StoredEntry(own, host, partition, kept, now + keepMs, ++this.#order, undefined));
    } else {
      const resource = found instanceof Resource ? found : this.#addResource(own, host, found);
      this.#addVariant(resource, flat(fields), partition, variant, kept, now + keepMs, ++this.#order);
    }
    this.#cleanUp();
  }

  purge(target: PurgeTarget): void {
    const time = ++this.#purges;
    if (target === "all") {
      this.#marks.markAll(time);
      this.#items.clear();
    } else if ("tag" in target) {
      this.#marks.mark(`g${target.tag}`, time);
      for (const key of [...(this.#tags.get(target.tag) ?? [])]) this.#items.delete(key);
    } else if (target.host !== undefined) {
      const key = resourceKey(target.host, target.target);
      this.#marks.mark(`r${key}`, time);
      this.#items.delete(key);
    } else {
      this.#marks.mark(`t${target.target}`, time);
      for (const host of [...this.#hosts.keys()]) this.#items.delete(resourceKey(host, target.target));
    }
    this.#cleanUp();
  }

  stats(): StoreStats {
    return { entries: this.#entries, bytes: this.#items.calculatedSize };
  }

  /** The newest of the variants that this request would get. */
  #choose(resource: Resource, partition: string, variantOf: VariantOf): Lookup {
    const now = Date.now();
    let newest: StoredEntry | undefined;
    // Backwards, as a list is removed with its last variant.
    for (let i = resource.lists.length - 1; i >= 0; i--) {
      const list = resource.lists[i]!;
      const found = this.#items.get(variantKey(list, partition, variantOf(list.fields))) as
        | StoredEntry
        | undefined;
      if (found === undefined) continue;
      if (found.expiresAt <= now) this.#items.delete(found.key);
      else if (newest === undefined || found.order > newest.order) newest = found;
    }
    this.#cleanUp();
    return { entry: newest?.entry, known: resource.lists.length > 0, version: this.#purges };
  }

  #wasPurged(version: number, key: string, target: string, { tags }: Entry): boolean {
    const marks = this.#marks;
    if (marks.since(version, `r${key}`) || marks.since(version, `t${target}`)) return true;
    return tags.some((tag) => marks.since(version, `g${tag}`));
  }

  /** Adds a resource with variants; `only` is the answer without variants that it had so far. */
  #addResource(key: string, host: string, only: StoredEntry | undefined): Resource {
    const resource = new Resource(key, host);
    this.#items.set(key, resource, {
      size: Math.min(RESOURCE_BYTES + 2 * key.length + host.length, this.#maxBytes),
    });
    this.#countHost(host, 1);
    if (only !== undefined) {
      this.#addVariant(resource, "", only.partition, "", only.entry, only.expiresAt, only.order);
    }
    return resource;
  }

  #addVariant(
    resource: Resource,
    fields: string,
    partition: string,
    variant: string,
    entry: Entry,
    expiresAt: number,
    order: number,
  ): void {
    const dropped = resource.use(fields, () => ++this.#lists);
    if (dropped !== undefined) this.#drop(dropped);
    const list = resource.lists[0]!;
    const key = flat(variantKey(list, partition, variant));
    list.keys.add(key);
    this.#add(new StoredEntry(key, resource.host, partition, entry, expiresAt, order, list));
  }

  #add(item: StoredEntry): void {
    const { key, list, entry, host, partition } = item;
    const size = weightOf(key, entry) + host.length + partition.length;
    if (size > this.#maxBytes) {
      this.#items.delete(key);
      if (list?.keys.delete(key)) this.#removeIfEmpty(list);
      return;
    }
    this.#items.set(key, item, { size });
    this.#entries++;
    if (list === undefined) this.#countHost(host, 1);
    for (const tag of entry.tags) {
      const keys = this.#tags.get(tag);
      if (keys === undefined) this.#tags.set(tag, new Set([key]));
      else keys.add(key);
    }
  }

  /** The map calls this for each item that leaves it; `replaced`: by another item with its key. */
  #onRemoved(item: StoredEntry | Resource, replaced: boolean): void {
    if (item instanceof Resource) {
      this.#countHost(item.host, -1);
      this.#toCleanUp.push(item);
      return;
    }
    const { key, list, entry, host } = item;
    this.#entries--;
    for (const tag of entry.tags) {
      const keys = this.#tags.get(tag);
      if (keys?.delete(key) && keys.size === 0) this.#tags.delete(tag);
    }
    if (list === undefined) this.#countHost(host, -1);
    else if (!replaced && list.keys.delete(key)) this.#removeIfEmpty(list);
  }

  /** Removes a list that has lost its last variant, and a resource that has lost its last list. */
  #removeIfEmpty({ keys, resource, id }: VaryList): void {
    if (keys.size > 0) return;
    const at = resource.lists.findIndex((list) => list.id === id);
    if (at !== -1) resource.lists.splice(at, 1);
    if (resource.lists.length === 0) this.#toCleanUp.push(resource);
  }

  #cleanUp(): void {
    for (let resource = this.#toCleanUp.pop(); resource !== undefined; resource = this.#toCleanUp.pop()) {
      if (this.#items.peek(resource.key) === resource) {
        if (resource.lists.length > 0) continue; // has variants again
        this.#items.delete(resource.key);
      }
      for (const list of [...resource.lists]) this.#drop(list);
    }
  }

  #drop(list: VaryList): void {
    for (const key of [...list.keys]) this.#items.delete(key);
  }

  #countHost(host: string, by: 1 | -1): void {
    const count = (this.#hosts.get(host) ?? 0) + by;
    if (count === 0) this.#hosts.delete(host);
    else this.#hosts.set(host, count);
  }
}
