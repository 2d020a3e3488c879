import { Checker } from "../../lib/config/checker.js";
import { checkLogger, type Logger } from "../../lib/log/logger.js";
import { guarded } from "../../lib/log/stderr-logger.js";
import { checkClient, type RedisClient } from "./redis-client.js";

export interface RedisStoreOptions {
  /**
   * A client of node-redis 5 or newer, or of ioredis; not of a cluster. You connect it, close it, and may use it for
   * other things. The store only adds an 'error' listener that does nothing.
   */
  readonly client: RedisClient;
  /**
   * All keys begin with it. Caches with the same prefix share answers and purges.
   * @defaultValue `"express-portico:"`
   */
  readonly prefix?: string | undefined;
  /**
   * How long one operation may take, and so how long a request waits for the store.
   * @defaultValue `250`
   */
  readonly timeoutMs?: number | undefined;
  /**
   * Logs when the store goes down and when it is back.
   * @defaultValue standard error
   */
  readonly logger?: Logger | undefined;
}

export interface RedisPlan {
  readonly client: RedisClient;
  readonly prefix: string;
  readonly timeoutMs: number;
  readonly logger: Logger;
}

const KNOWN = ["client", "prefix", "timeoutMs", "logger"] as const satisfies (keyof RedisStoreOptions)[];

const DEFAULT_PREFIX = "express-portico:";
const MAX_PREFIX = 200;

export function checkRedisOptions(options: RedisStoreOptions): RedisPlan {
  const checker = Checker.of("redisStore()", options, KNOWN);
  const client = checkClient(checker);
  const prefix = checker.string("prefix") ?? DEFAULT_PREFIX;
  if (prefix === "" || prefix.length > MAX_PREFIX) {
    checker.add("prefix", `must have from 1 to ${MAX_PREFIX} characters`);
  }
  const timeoutMs = checker.integer("timeoutMs", { min: 1, max: 60_000, unit: "milliseconds" }, 250);
  const logger = guarded(checkLogger(checker));
  checker.done();
  return { client: client!, prefix, timeoutMs, logger };
}
