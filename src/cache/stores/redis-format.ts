import type { HeaderList } from "../../lib/response/snapshot.js";
import type { Entry, PurgeTarget, ResourceKey } from "./cache-store.js";

/**
 * Makes the names of keys in Redis. What a client sent is only part of them as a hash, so that no two names collide.
 * All begin with the prefix.
 *
 * - `marks`: a sorted set of purges by their time, with the members `all`, `clock`, `t…` (a target on all hosts) and
 *   `g…` (a tag)
 * - `v:<resource>`: a hash with the lists of Vary fields of the resource's answers, and the time of its last purge
 * - `e:<resource>:<variant>`: a hash with one answer
 */
export class RedisKeys {
  readonly marks: string;

  /** @param outer the prefix that the client itself puts before keys, but not before patterns */
  constructor(
    readonly prefix: string,
    readonly outer = "",
  ) {
    this.marks = `${prefix}marks`;
  }

  resource({ host, target }: Pick<ResourceKey, "host" | "target">): string {
    return digest(host, target);
  }

  lists(resource: string): string {
    return `${this.prefix}v:${resource}`;
  }

  /** Under an empty list of fields, all requests of a partition are one variant. */
  entry(resource: string, partition: string, fields: string, variant: string): string {
    return `${this.prefix}e:${resource}:${digest(partition, fields, fields === "" ? "" : variant)}`;
  }

  /** A pattern for SCAN that matches the keys of entries and nothing else. */
  everyEntry(): string {
    const hash = "?".repeat(DIGEST_LENGTH);
    return `${`${this.outer}${this.prefix}`.replace(/[*?[\]^\\]/g, "\\$&")}e:${hash}:${hash}`;
  }

  /** Where a purge is recorded: in a member of the marks, or with the lists of a resource. */
  purge(target: PurgeTarget): { readonly member: string } | { readonly lists: string } {
    if (target === "all") return { member: "all" };
    if ("tag" in target) return { member: tagMember(target.tag) };
    if (target.host === undefined) return { member: targetMember(target.target) };
    return { lists: this.lists(this.resource({ host: target.host, target: target.target })) };
  }
}

export function targetMember(target: string): string {
  return `t${digest(target)}`;
}

export function tagMember(tag: string): string {
  return `g${digest(tag)}`;
}

/** 132 bits of SHA-256. The lengths of the parts come first, as `a`, `bc` is not `ab`, `c`. */
const DIGEST_LENGTH = 22;

function digest(...parts: string[]): string {
  const text = `${parts.map((part) => part.length).join(",")}:${parts.join("")}`;
  // As UTF-16: UTF-8 replaces all lone surrogates by the same character.
  const hash = process.getBuiltinModule("node:crypto").createHash("sha256").update(text, "utf16le");
  return hash.digest("base64url").slice(0, DIGEST_LENGTH);
}

/** Three letters and a version number; then follow the length of the head (32 bits), the head (JSON) and the body. */
const MAGIC = Buffer.from([0x58, 0x50, 0x45, 1]);
const HEAD_AT = MAGIC.length + 4;

/** All but the body, with short names; `n` is the body's length, to detect a truncated value. */
interface Head {
  readonly s: number;
  readonly r: string;
  readonly h: HeaderList;
  readonly q: number;
  readonly p: number;
  readonly a: boolean;
  readonly t: readonly string[];
  readonly n: number;
}

export function encodeEntry(entry: Entry): Buffer {
  const { status, reason, headers, body, requestedAt, respondedAt, authorized, tags } = entry;
  const head: Head = {
    s: status,
    r: reason,
    h: headers,
    q: requestedAt,
    p: respondedAt,
    a: authorized,
    t: tags,
    n: body.length,
  };
  const json = Buffer.from(JSON.stringify(head), "utf8");
  const length = Buffer.allocUnsafe(4);
  length.writeUInt32BE(json.length);
  return Buffer.concat([MAGIC, length, json, body]);
}

/** Reads what `encodeEntry` has written; undefined if another version wrote it or it is truncated. `isEntry` checks the rest. */
export function decodeEntry(bytes: Buffer): { readonly [Name in keyof Entry]: unknown } | undefined {
  if (bytes.length < HEAD_AT || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  const bodyAt = HEAD_AT + bytes.readUInt32BE(MAGIC.length);
  if (bodyAt > bytes.length) return undefined;
  const head = parse(bytes.toString("utf8", HEAD_AT, bodyAt));
  if (head?.n !== bytes.length - bodyAt) return undefined;
  return {
    status: head.s,
    reason: head.r,
    headers: head.h,
    body: bytes.subarray(bodyAt),
    requestedAt: head.q,
    respondedAt: head.p,
    authorized: head.a,
    tags: head.t,
  };
}

function parse(text: string): { readonly [Name in keyof Head]?: unknown } | null | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
