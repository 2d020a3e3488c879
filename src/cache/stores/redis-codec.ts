import type { HeaderList } from "../../lib/response/snapshot.js";
import type { Entry } from "../entry.js";

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

/** Reads an entry; undefined if another version wrote it or it is damaged. */
export function decodeEntry(bytes: Buffer): Entry | undefined {
  if (bytes.length < HEAD_AT || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  const bodyAt = HEAD_AT + bytes.readUInt32BE(MAGIC.length);
  if (bodyAt > bytes.length) return undefined;
  const head = parse(bytes.toString("utf8", HEAD_AT, bodyAt));
  if (!isHead(head) || head.n !== bytes.length - bodyAt) return undefined;
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

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isHead(value: unknown): value is Head {
  if (typeof value !== "object" || value === null) return false;
  const { s, r, h, q, p, a, t, n } = value as Partial<Head>;
  return (
    Number.isInteger(s) &&
    typeof r === "string" &&
    Array.isArray(h) &&
    h.every(isHeader) &&
    Number.isFinite(q) &&
    Number.isFinite(p) &&
    typeof a === "boolean" &&
    isStrings(t) &&
    Number.isInteger(n)
  );
}

function isHeader(value: unknown): boolean {
  if (!Array.isArray(value) || value.length !== 2 || typeof value[0] !== "string") return false;
  const content: unknown = value[1];
  return typeof content === "string" || Number.isFinite(content) || isStrings(content);
}

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}
