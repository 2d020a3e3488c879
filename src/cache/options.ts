import type { Request } from "express";
import type { Checker, ForeignOptions } from "../lib/config/checker.js";
import { boolean, checked, fn, names, readOptions, type SchemaOf, string } from "../lib/config/schema.js";
import { isToken } from "../lib/http/tokens.js";
import type { CacheStore } from "./stores/cache-store.js";
import { memoryStore } from "./stores/memory.js";

export interface CacheOptions {
  /**
   * Where answers are stored: `memoryStore({ maxBytes, maxEntryBytes })`, `redisStore({ client, prefix })`, or your own
   * `CacheStore`. @defaultValue `memoryStore()`
   */
  readonly store?: CacheStore | undefined;
  /** The name of this cache in `Cache-Status` (RFC 9211 section 2). @defaultValue `"portico"` */
  readonly name?: string | undefined;
  /**
   * Replaces path and query in the key; the host is always part of it. A request for which it returns undefined
   * bypasses the cache. An error that it throws goes to the error handler.
   * @defaultValue path and query
   */
  readonly key?: ((req: Request) => string | undefined) | undefined;
  /**
   * The hosts whose answers are stored, without port: `["example.com"]`. Requests for other hosts go to the handlers,
   * and their answers are not stored. @defaultValue all
   */
  readonly hosts?: readonly string[] | undefined;
  /**
   * Whether requests with a `Cookie` use the cache, and answers with `Set-Cookie` are stored (without that header).
   * Only for an app whose cacheable pages never depend on cookies. @defaultValue `false`
   */
  readonly cookies?: boolean | undefined;
  /**
   * Whether the client's own `Cache-Control` and `Pragma` count (RFC 9111 section 5.2.1). With `false` no client can
   * reach the handlers past the cache. @defaultValue `true`
   */
  readonly requestDirectives?: boolean | undefined;
}

export const OPTIONS = () =>
  ({
    store: checkStore,
    name: checked(string("portico"), (name) =>
      isToken(name) ? undefined : "must be a token (letters, digits, hyphens): it is sent in Cache-Status",
    ),
    key: fn("must be a function (req) => string"),
    hosts: checkHosts,
    cookies: boolean(false),
    requestDirectives: boolean(true),
  }) satisfies SchemaOf<CacheOptions>;

export type CachePlan = ReturnType<typeof checkOptions>;

export function checkOptions(options: CacheOptions | undefined) {
  const { checker, plan } = readOptions("cache()", OPTIONS, options, { foreign: FOREIGN });
  checker.done();
  return { ...plan, store: plan.store ?? memoryStore() };
}

function checkStore(checker: Checker): CacheStore | undefined {
  const { store } = checker.options;
  if (store === undefined) return undefined;
  const methods = ["get", "put", "purge", "stats"] as const;
  const missing = methods.filter(
    (name) => typeof (store as Partial<CacheStore> | null)?.[name] !== "function",
  );
  if (missing.length === 0) return store as CacheStore;
  checker.add(
    "store",
    typeof store === "object" && store !== null && missing.length < methods.length
      ? `has no ${missing.join(", ")}`
      : "must be a store: memoryStore({ maxBytes }) or redisStore({ client })",
  );
  return undefined;
}

function checkHosts(checker: Checker): ReadonlySet<string> | undefined {
  // An explicit undefined may be a missing environment variable, which must not mean "every host".
  if ("hosts" in checker.options && checker.options.hosts === undefined) {
    checker.add(
      "hosts",
      "is undefined: is an environment variable missing? Leave it out to store for every host",
    );
    return undefined;
  }
  const hosts = names()(checker, "hosts");
  if (hosts === undefined) return undefined;
  if (hosts.length === 0) checker.add("hosts", "is empty: nothing would be stored");
  for (const host of hosts) {
    if (!/^(?:\[[0-9a-f:.]+\]|[^\s/:@?#[\]]+)$/i.test(host)) {
      checker.add("hosts", "must be host names alone, without scheme, port or path", host);
    }
  }
  return new Set(hosts.map((host) => host.toLowerCase()));
}

const BY_HEADER = 'the answer\'s Cache-Control decides: res.set("Cache-Control", "max-age=60")';

/** Options of other packages, and what to use here instead. */
export const FOREIGN: ForeignOptions = {
  hono: {
    cacheName: "name",
    wait: "it is not needed: an answer is stored after it was sent",
    "cacheControl cacheableStatusCodes": BY_HEADER,
    vary: "the answer's Vary decides: res.vary(name)",
    keyGenerator: "key",
    onCacheNotAvailable: "it is not needed: without its store requests go to the handlers",
  },
  apicache: {
    "defaultDuration duration statusCodes headers": BY_HEADER,
    redisClient: "it is store: redisStore({ client })",
    appendKey: "key",
    respectCacheControl: "it is always so: requestDirectives",
    trackPerformance: "it is not needed: cache(…).stats()",
    enabled: "leave the middleware out instead",
  },
};
