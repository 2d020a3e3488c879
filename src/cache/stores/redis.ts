import type { LRUCache } from "lru-cache";
import { checked, integer, readOptions, type SchemaOf, string } from "../../lib/config/schema.js";
import { checkLogger, type Logger } from "../../lib/log/logger.js";
import { guarded } from "../../lib/log/stderr-logger.js";
import { loadLru, sizeOf } from "../lru.js";
import {
  type CacheStore,
  type Entry,
  isEntry,
  type Lookup,
  type PurgeTarget,
  type ResourceKey,
  type StoreStats,
  type VariantOf,
} from "./cache-store.js";
import { Circuit, FAILED, PutWatch, trust } from "./guard.js";
import { checkClient, keyPrefixOf, type RedisClient, Script, type Send, sender } from "./redis-client.js";
import { decodeEntry, encodeEntry, RedisKeys, tagMember, targetMember } from "./redis-format.js";
import { Purges } from "./redis-purges.js";
import { COUNT, GET, PUT } from "./redis-scripts.js";

export type { NodeRedisClient, RedisClient } from "./redis-client.js";

export interface RedisStoreOptions {
  /**
   * A client of node-redis 5 or newer, or of ioredis; not of a cluster. You connect it, close it, and may use it for
   * other things. The store only adds an 'error' listener that does nothing.
   */
  readonly client: RedisClient;
  /** All keys begin with it. Caches with the same prefix share answers and purges. @defaultValue `"express-portico:"` */
  readonly prefix?: string | undefined;
  /** How long one operation may take, and so how long a request waits for the store. @defaultValue `250` */
  readonly timeoutMs?: number | undefined;
  /** Logs when the store goes down and when it is back. @defaultValue standard error */
  readonly logger?: Logger | undefined;
}

/**
 * Stores answers in Redis, for all processes and machines that use the same server and prefix. Each sees at once what
 * the others store and purge. Answers outlive the processes, by at most 30 days.
 *
 * If Redis is slow or down, a request waits at most `timeoutMs`, and after the first failures not at all: requests go to
 * their handlers, and one warning is logged. Purges then wait in this process, and are done before anything is read
 * again; their promises resolve when they are done or waiting. The client gets an 'error' listener, as a lost connection
 * would end the process without one; to see these errors, add your own.
 *
 * Needs Redis 6 or newer (or a compatible server) with scripts, not a cluster.
 *
 * @example
 * const client = createClient({ url: process.env.REDIS_URL }); // of the package redis
 * client.connect().catch(() => {}); // until it is connected, nothing is cached
 * app.use(cache({ store: redisStore({ client }) }));
 *
 * @example
 * app.use(cache({ store: redisStore({ client: new Redis(), prefix: "shop:", timeoutMs: 100 }) })); // of ioredis
 *
 * @throws {ConfigError} with all problems of the options
 * @see docs/cache.md
 */
export function redisStore(options: RedisStoreOptions): CacheStore {
  return trust(new RedisStore(checkRedisOptions(options)));
}

const MAX_PREFIX = 200;

export const OPTIONS = () =>
  ({
    client: checkClient,
    prefix: checked(string("express-portico:"), ({ length }) =>
      length >= 1 && length <= MAX_PREFIX ? undefined : `must have from 1 to ${MAX_PREFIX} characters`,
    ),
    timeoutMs: integer({ min: 1, max: 60_000, unit: "milliseconds" }, 250),
    logger: checkLogger,
  }) satisfies SchemaOf<RedisStoreOptions>;

type RedisPlan = ReturnType<typeof checkRedisOptions>;

function checkRedisOptions(options: RedisStoreOptions) {
  const { checker, plan } = readOptions("redisStore()", OPTIONS, options);
  return checker.done({ ...plan, client: plan.client!, logger: guarded(plan.logger) });
}

const MAX_ENTRY_BYTES = 1024 * 1024;
const MAX_KEEP_MS = 30 * 24 * 60 * 60 * 1000;

/** A lookup while the store is down; `put` stores nothing under its version. */
const DOWN: Lookup = { entry: undefined, known: false, version: 0, isDown: true };

const getScript = new Script(GET);
const putScript = new Script(PUT);
const countScript = new Script(COUNT);

class RedisStore implements CacheStore {
  readonly maxEntryBytes = MAX_ENTRY_BYTES;
  readonly #timeoutMs: number;
  readonly #send: Send;
  readonly #keys: RedisKeys;
  readonly #circuit: Circuit;
  readonly #putResults = new PutWatch();
  readonly #purges: Purges;
  /** The lists of Vary fields of resources at their last lookup. If they are still right, one round trip is enough. */
  readonly #guesses: LRUCache<string, readonly string[]> = new (loadLru())({
    max: 10_000,
    maxSize: 4 * 1024 * 1024,
    sizeCalculation: (lists) => lists.reduce((bytes, fields) => bytes + sizeOf(fields), 200),
  });
  /** The latest time that Redis has sent. */
  #clock = 0;
  #retry: NodeJS.Timeout | undefined;

  constructor({ client, prefix, timeoutMs, logger }: RedisPlan) {
    this.#timeoutMs = timeoutMs;
    this.#send = sender(client, timeoutMs);
    this.#keys = new RedisKeys(prefix, keyPrefixOf(client));
    this.#circuit = new Circuit(timeoutMs, logger);
    this.#purges = new Purges(this.#keys, timeoutMs);
  }

  get isDown(): boolean {
    return this.#circuit.isOpen || this.#putResults.isFailing;
  }

  get(key: ResourceKey, variantOf: VariantOf): Lookup | Promise<Lookup> {
    return this.#circuit.isOpen ? DOWN : this.#lookup(key, variantOf);
  }

  async put(
    key: ResourceKey,
    fields: string,
    variant: string,
    entry: Entry,
    version: number,
    keepMs: number,
  ): Promise<void> {
    if (version === 0 || !(keepMs >= 1) || entry.body.length > MAX_ENTRY_BYTES || this.#circuit.isOpen)
      return;
    const keep = String(Math.floor(Math.min(keepMs, MAX_KEEP_MS)));
    const keys = this.#keys;
    const resource = keys.resource(key);
    const own = keys.entry(resource, key.partition, fields, variant);
    const tags = entry.tags.map(tagMember).join("");
    const args = [targetMember(key.target), fields, String(version), keep, tags, encodeEntry(entry)];
    const run = () => putScript.run(this.#send, [keys.marks, keys.lists(resource), own], args);
    this.#putResults.ended(await this.#run(run));
  }

  async purge(target: PurgeTarget): Promise<void> {
    this.#purges.add(target);
    await this.#sendPurges();
  }

  /** Counts for the time of one operation at most. Purged entries count until they expire. */
  async stats(): Promise<StoreStats> {
    const until = performance.now() + this.#timeoutMs;
    let cursor = "0";
    let entries = 0;
    let bytes = 0;
    do {
      const args = [cursor, this.#keys.everyEntry()];
      const reply = await this.#circuit.run(() => countScript.run(this.#send, [], args));
      if (reply === FAILED) break;
      cursor = String(reply[0]);
      entries += Number(reply[1]);
      bytes += Number(reply[2]);
    } while (cursor !== "0" && performance.now() < until);
    return { entries, bytes };
  }

  async #lookup(key: ResourceKey, variantOf: VariantOf): Promise<Lookup> {
    const resource = this.#keys.resource(key);
    const reply = await this.#run(async () => {
      if (!this.#purges.isEmpty) this.#clock = Math.max(this.#clock, await this.#purges.send(this.#send));
      const guess = this.#guesses.get(resource) ?? [""];
      const first = await this.#ask(key, resource, guess, variantOf);
      const lists = first.slice(3).map(String);
      this.#learn(resource, guess, lists);
      return lists.every((fields) => guess.includes(fields))
        ? first
        : this.#ask(key, resource, lists, variantOf);
    });
    if (reply === FAILED) return DOWN;
    const [, version, found, ...lists] = reply;
    const entry = Buffer.isBuffer(found) ? decodeEntry(found) : undefined;
    return {
      entry: isEntry(entry) ? entry : undefined,
      known: lists.length > 0,
      version: Number(String(version)),
    };
  }

  #ask(
    { target, partition }: ResourceKey,
    resource: string,
    lists: readonly string[],
    variantOf: VariantOf,
  ): Promise<readonly unknown[]> {
    const keys = this.#keys;
    const entries = lists.map((fields) => keys.entry(resource, partition, fields, variantOf(fields)));
    const args = [targetMember(target), ...lists];
    return getScript.run(this.#send, [keys.marks, keys.lists(resource), ...entries], args);
  }

  #learn(resource: string, guess: readonly string[], lists: readonly string[]): void {
    if (lists.length === 0 || (lists.length === 1 && lists[0] === "")) this.#guesses.delete(resource);
    else if (lists.length !== guess.length || lists.some((fields) => !guess.includes(fields))) {
      this.#guesses.set(resource, lists);
    }
  }

  /** Runs an operation with a reply that begins with Redis's time. */
  async #run(operation: () => Promise<readonly unknown[]>): Promise<readonly unknown[] | typeof FAILED> {
    const before = this.#clock;
    const reply = await this.#circuit.run(operation);
    if (reply === FAILED) return reply;
    const clock = Number(String(reply[0]));
    if (clock >= before) {
      this.#clock = Math.max(this.#clock, clock);
      return reply;
    }
    // Redis was restored from an older state, or a replica with older data took over: purges may have been lost.
    this.#clock = 0;
    void this.purge("all");
    return FAILED;
  }

  /** Sends the purges now, or later if the store is down: other processes must not go on serving what was purged. */
  async #sendPurges(): Promise<void> {
    if (this.#purges.isEmpty) return; // sending nothing would count as an answer of Redis
    const time = await this.#circuit.run(() => this.#purges.send(this.#send));
    if (time !== FAILED) this.#clock = Math.max(this.#clock, time);
    if (this.#purges.isEmpty || this.#retry !== undefined) return;
    this.#retry = setTimeout(
      () => {
        this.#retry = undefined;
        void this.#sendPurges();
      },
      Math.max(this.#circuit.waitMs, 100),
    ).unref();
  }
}
