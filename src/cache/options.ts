import type { Request } from "express";
import { Checker } from "../lib/config/checker.js";
import { isToken } from "../lib/http/tokens.js";
import { FOREIGN } from "./foreign.js";
import type { CacheStore } from "./store.js";
import { memoryStore } from "./stores/memory.js";

export interface CacheOptions {
  /**
   * Where answers are kept: `memoryStore({ maxBytes, maxEntryBytes })`, `redisStore({ client, prefix })`, or your own
   * `CacheStore`. Default: a memory store of 64 MiB for this cache alone.
   */
  readonly store?: CacheStore | undefined;
  /** What this cache calls itself in `Cache-Status` (RFC 9211 section 2). Default: `portico`. */
  readonly name?: string | undefined;
  /**
   * What of the request makes the key, in the place of its path and query; the host stays part of it. Undefined: this
   * request is not for the cache. What it throws goes to the error handler. Default: path and query as the client sent
   * them.
   */
  readonly key?: ((req: Request) => string | undefined) | undefined;
  /**
   * The hosts whose answers are stored, without port: `["example.com"]`. Requests for others are served by the
   * handlers, and nothing of them is stored. Default: every host, each with entries of its own.
   */
  readonly hosts?: readonly string[] | undefined;
  /**
   * Whether requests with a `Cookie` may be answered from the cache and fill it, and answers with `Set-Cookie` be
   * stored (without it). Only for an app whose cacheable pages never depend on cookies. Default: false.
   */
  readonly cookies?: boolean | undefined;
  /**
   * Whether the client's own `Cache-Control` and `Pragma` are honoured (RFC 9111 section 5.2.1). With false no client
   * can get past the cache to the handlers. Default: true.
   */
  readonly requestDirectives?: boolean | undefined;
}

export interface CachePlan {
  readonly store: CacheStore;
  readonly name: string;
  readonly key: CacheOptions["key"];
  readonly hosts: ReadonlySet<string> | undefined;
  readonly cookies: boolean;
  readonly requestDirectives: boolean;
}

const KNOWN = [
  "store",
  "name",
  "key",
  "hosts",
  "cookies",
  "requestDirectives",
] as const satisfies (keyof CacheOptions)[];

export function checkOptions(options: CacheOptions | undefined): CachePlan {
  const checker = Checker.of("cache()", options, KNOWN, "", FOREIGN);
  const store = checkStore(checker);
  const plan = {
    name: checkName(checker),
    key: checker.function<NonNullable<CacheOptions["key"]>>("key", "must be a function (req) => string"),
    hosts: checkHosts(checker),
    cookies: checker.boolean("cookies", false),
    requestDirectives: checker.boolean("requestDirectives", true),
  };
  checker.done();
  return { ...plan, store: store ?? memoryStore() };
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

function checkName(checker: Checker): string {
  const name = checker.string("name") ?? "portico";
  if (!isToken(name))
    checker.add("name", "must be a token (letters, digits, hyphens): it is sent in Cache-Status");
  return name;
}

function checkHosts(checker: Checker): ReadonlySet<string> | undefined {
  // A missing environment variable must not open the cache to every host.
  if ("hosts" in checker.options && checker.options.hosts === undefined) {
    checker.add(
      "hosts",
      "is undefined: is an environment variable missing? Leave it out to store for every host",
    );
    return undefined;
  }
  const hosts = checker.names("hosts");
  if (hosts === undefined) return undefined;
  if (hosts.length === 0) checker.add("hosts", "is empty: nothing would be stored");
  for (const host of hosts) {
    if (!/^(?:\[[0-9a-f:.]+\]|[^\s/:@?#[\]]+)$/i.test(host)) {
      checker.add("hosts", "must be host names alone, without scheme, port or path", host);
    }
  }
  return new Set(hosts.map((host) => host.toLowerCase()));
}
