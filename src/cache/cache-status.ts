import type { ServerResponse } from "node:http";
import { quote } from "../lib/http/tokens.js";

/** The parameters of one member of Cache-Status (RFC 9211 section 2). */
export interface CacheStatusParts {
  readonly hit?: boolean | undefined;
  readonly fwd?:
    | "bypass"
    | "method"
    | "uri-miss"
    | "vary-miss"
    | "miss"
    | "request"
    | "stale"
    | "partial"
    | undefined;
  readonly fwdStatus?: number | undefined;
  /** How long it stays fresh; negative if it is stale. */
  readonly ttlSeconds?: number | undefined;
  readonly stored?: boolean | undefined;
  readonly collapsed?: boolean | undefined;
  readonly key?: string | undefined;
  readonly detail?: string | undefined;
}

/** The list member of the cache with this name. */
export function cacheStatus(name: string, parts: CacheStatusParts): string {
  let status = tokenOrString(name);
  if (parts.hit === true) status += "; hit";
  else if (parts.fwd !== undefined) status += `; fwd=${parts.fwd}`;
  if (parts.fwdStatus !== undefined) status += `; fwd-status=${integer(parts.fwdStatus)}`;
  if (parts.ttlSeconds !== undefined) status += `; ttl=${integer(parts.ttlSeconds)}`;
  if (parts.stored === true) status += "; stored";
  if (parts.collapsed === true) status += "; collapsed";
  if (parts.key !== undefined) status += `; key=${string(parts.key)}`;
  if (parts.detail !== undefined) status += `; detail=${tokenOrString(parts.detail)}`;
  return status;
}

/** RFC 8941 section 3.3.4: unlike a token of HTTP, it cannot begin with a digit. */
const TOKEN = /^[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*$/;

function tokenOrString(text: string): string {
  return TOKEN.test(text) ? text : string(text);
}

/** Longer keys and details are truncated. */
const MAX_LENGTH = 512;

function string(text: string): string {
  return quote(text.slice(0, MAX_LENGTH).replace(/[^\x20-\x7e]/g, "?"));
}

/** RFC 8941 section 3.3.1: at most fifteen digits. */
const LARGEST = 999_999_999_999_999;

function integer(value: number): string {
  const whole = Math.floor(value);
  return String(Math.min(Math.max(whole, -LARGEST), LARGEST) || 0);
}

/** Appends: caches nearer to the origin come first (RFC 9211 section 2). */
export function addCacheStatus(res: ServerResponse, member: string): void {
  const present = res.getHeader("cache-status");
  res.setHeader("Cache-Status", present === undefined ? member : `${String(present)}, ${member}`);
}

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
