import type { ServerResponse } from "node:http";
import { type CacheStatusParts, cacheStatus } from "./rules/cache-status.js";
import { addCacheStatus } from "./visit.js";

/** This cache's member of Cache-Status on an answer from the handlers. */
export class StatusMember {
  /** The field's value before. */
  private before: ReturnType<ServerResponse["getHeader"]> = undefined;
  private text: string | undefined = undefined;

  constructor(
    private readonly res: ServerResponse,
    /** The name of the cache. */
    private readonly name: string,
  ) {}

  add(parts: CacheStatusParts): void {
    this.before = this.res.getHeader("cache-status");
    this.text = cacheStatus(this.name, parts);
    addCacheStatus(this.res, this.text);
  }

  /** Replaces this member only: other caches may have added theirs. */
  replace(parts: CacheStatusParts): void {
    const { res, text } = this;
    if (text === undefined) return;
    const field = String(res.getHeader("cache-status") ?? "");
    const at = field.lastIndexOf(text);
    if (at === -1) return;
    this.text = cacheStatus(this.name, parts);
    res.setHeader("Cache-Status", field.slice(0, at) + this.text + field.slice(at + text.length));
  }

  /** Node refused the head, and another one comes. */
  remove(): void {
    if (this.text === undefined) return;
    if (this.before === undefined) this.res.removeHeader("cache-status");
    else this.res.setHeader("Cache-Status", this.before);
  }
}
