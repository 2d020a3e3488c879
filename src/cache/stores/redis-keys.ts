import type { PurgeTarget, ResourceKey } from "../store.js";

/**
 * What the names in Redis are made of: nothing that a client sent stands in them but as a hash, so that no name can
 * reach into another's place. All begin with the prefix.
 *
 * - `marks`: a sorted set of what was purged, by time; its members are `all`, `clock`, `t…` (a target on all hosts)
 *   and `g…` (a tag);
 * - `v:<resource>`: a hash of the lists of Vary fields that the resource's answers have, and when it was purged;
 * - `e:<resource>:<variant>`: a hash, one answer.
 */
export class RedisKeys {
  readonly marks: string;

  /** @param outer what the client itself puts before keys, but not before patterns */
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

  /** All requests of a division are one variant under a list without fields. */
  entry(resource: string, division: string, fields: string, variant: string): string {
    return `${this.prefix}e:${resource}:${digest(division, fields, fields === "" ? "" : variant)}`;
  }

  /** Every entry's key and nothing else, as a pattern for SCAN. */
  everyEntry(): string {
    const hash = "?".repeat(DIGEST_LENGTH);
    return `${`${this.outer}${this.prefix}`.replace(/[*?[\]^\\]/g, "\\$&")}e:${hash}:${hash}`;
  }

  /** What a purge writes down: a member of the marks, or the key of the resource's lists. */
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

/** 132 bits of SHA-256. The parts' lengths go in first: `a`, `bc` is not `ab`, `c`. */
const DIGEST_LENGTH = 22;

function digest(...parts: string[]): string {
  const text = `${parts.map((part) => part.length).join(",")}:${parts.join("")}`;
  // As UTF-16, for UTF-8 has one and the same replacement for all lone surrogates.
  const hash = process.getBuiltinModule("node:crypto").createHash("sha256").update(text, "utf16le");
  return hash.digest("base64url").slice(0, DIGEST_LENGTH);
}
