import { Redis } from "ioredis";
import { createClient } from "redis";
import type {
  CacheStore,
  Entry,
  Lookup,
  ResourceKey,
  VariantOf,
} from "../../../src/cache/stores/cache-store.js";
import type { RedisClient } from "../../../src/cache/stores/redis.js";

export function entryOf(body: string | Buffer, more: Partial<Entry> = {}): Entry {
  return {
    status: 200,
    reason: "",
    headers: [["Content-Type", "text/plain"]],
    body: Buffer.from(body as string),
    requestedAt: 1_000,
    respondedAt: 1_001,
    authorized: false,
    tags: [],
    ...more,
  };
}

export function keyOf(target: string, host = "a.example", partition = ""): ResourceKey {
  return { host, target, partition };
}

/** The variant of a request with these values under a list of Vary fields. */
export function asking(values: Readonly<Record<string, string>> = {}): VariantOf {
  return (fields) =>
    fields === "" ? "" : JSON.stringify(fields.split(",").map((field) => values[field] ?? null));
}

/** Looks up and puts, as a miss does. */
export async function putEntry(
  store: CacheStore,
  key: ResourceKey,
  entry: Entry,
  { fields = "", request = {}, keepMs = 60_000 }: PutOptions = {},
): Promise<void> {
  const variantOf = asking(request);
  const { version } = await store.get(key, variantOf);
  await store.put(key, fields, variantOf(fields), entry, version, keepMs);
}

interface PutOptions {
  readonly fields?: string;
  readonly request?: Readonly<Record<string, string>>;
  readonly keepMs?: number;
}

/** The body that a request gets; undefined for a miss. */
export async function bodyOf(
  store: CacheStore,
  key: ResourceKey,
  request: Readonly<Record<string, string>> = {},
): Promise<string | undefined> {
  const lookup: Lookup = await store.get(key, asking(request));
  return lookup.entry?.body.toString();
}

/** A client of one of the two packages, with what the tests need of it. */
export interface TestClient {
  readonly client: RedisClient;
  /** Resolves when it is connected. */
  ready(): Promise<unknown>;
  command(...args: string[]): Promise<unknown>;
  end(): void;
}

export const PACKAGES: Readonly<Record<"node-redis" | "ioredis", (path: string) => TestClient>> = {
  "node-redis": (path) => {
    const client = createClient({ socket: { path, reconnectStrategy: 10 } });
    const connected = client.connect().catch(() => {});
    return {
      client,
      ready: () => connected,
      command: (...args) => client.sendCommand(args),
      end: () => {
        if (client.isOpen) client.destroy();
      },
    };
  },
  ioredis: (path) => {
    const client = new Redis({ path, retryStrategy: () => 10, disconnectTimeout: 10 });
    return {
      client,
      ready: () =>
        client.status === "ready"
          ? Promise.resolve()
          : new Promise((resolve) => client.once("ready", resolve)),
      command: (command, ...args) => client.call(command!, ...args),
      end: () => client.disconnect(),
    };
  },
};
