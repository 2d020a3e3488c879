import type { ServerResponse } from "node:http";
import { type CacheStatusParts, cacheStatus } from "./rules/cache-status.js";
import { addStatus } from "./visit.js";

/** What this cache says in the Cache-Status of an answer that the handlers give. */
export class StatusMember {
  /** What stood in the field before. */
  private before: ReturnType<ServerResponse["getHeader"]> = undefined;
  private text: string | undefined = undefined;

  constructor(
    private readonly res: ServerResponse,
    /** The cache's. */
    private readonly name: string,
  ) {}

  add(parts: CacheStatusParts): void {
    this.before = this.res.getHeader("cache-status");
    this.text = cacheStatus(this.name, parts);
    addStatus(this.res, this.text);
  }

  /** In its place: other caches may have added theirs. */
  replace(parts: CacheStatusParts): void {
    const { res, text } = this;
    if (text === undefined) return;
    const field = String(res.getHeader("cache-status") ?? "");
    const at = field.lastIndexOf(text);
    if (at === -1) return;
    this.text = cacheStatus(this.name, parts);
    res.setHeader("Cache-Status", field.slice(0, at) + this.text + field.slice(at + text.length));
  }

  /** The head was refused, and there will be another. */
  remove(): void {
    if (this.text === undefined) return;
    if (this.before === undefined) this.res.removeHeader("cache-status");
    else this.res.setHeader("Cache-Status", this.before);
  }
}
