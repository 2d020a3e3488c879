import type { ServerResponse } from "node:http";
import { beforeHead } from "../lib/response/head-hooks.js";
import { isThenable } from "../lib/values/thrown.js";
import type { CacheState } from "./state.js";
import type { ResourceKey } from "./store.js";

/**
 * Purges what an unsafe method has changed (RFC 9111 section 4.4): when it succeeds, its own resource and those that
 * its answer names, on the same host only.
 */
export function invalidateAfter(state: CacheState, res: ServerResponse, key: ResourceKey): void {
  beforeHead(res, invalidate, { state, key });
}

interface Change {
  readonly state: CacheState;
  readonly key: ResourceKey;
}

function invalidate(res: ServerResponse, { state, key }: Change): void {
  if (res.statusCode < 200 || res.statusCode >= 400) return;
  const targets = new Set([key.target]);
  for (const name of ["location", "content-location"]) {
    const named = res.getHeader(name);
    const target = typeof named === "string" ? targetOnHost(named, key) : undefined;
    if (target !== undefined) targets.add(target);
  }
  for (const target of targets) purge(state, key, target);
}

/** Purges a target on the key's host. */
export function purge(state: CacheState, { host }: ResourceKey, target: string): void {
  const done = state.store.purge({ host, target });
  if (isThenable(done)) done.then(undefined, () => {}); // the store itself reports that it is down
}

function targetOnHost(reference: string, { host, target }: ResourceKey): string | undefined {
  try {
    const base = new URL(`http://${host}${target.startsWith("/") ? target : "/"}`);
    const url = new URL(reference, base);
    return url.host === base.host ? `${url.pathname}${url.search}` : undefined;
  } catch {
    return undefined;
  }
}
