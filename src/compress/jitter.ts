import { randomText } from "../lib/values/random.js";
import type { Encoding } from "./codings.js";

// Each format has something that decoders skip. It stands at the beginning, right after the format's own header, and can
// be of any length to the byte: noise in steps of five would leave the length modulo five to be read.

/** How many bytes to add: evenly from 0 to `most`, by a generator that cannot be predicted. */
export function drawJitter(most: number): number {
  return Number.parseInt(randomText(6, "hex"), 16) % (most + 1);
}

/**
 * The beginning of a coded body, with `count` bytes more (deflate: and ten). `head` holds the format's header; of
 * brotli, whose header is no whole bytes, it is what a flush before all else has given.
 */
export function withJitter(encoding: Encoding, head: Buffer, count: number): Buffer {
  switch (encoding) {
    case "gzip":
      return gzipComment(head, count);
    case "deflate":
      return insert(head, 2, emptyBlocks(count));
    case "br":
      return insert(head, head.length, brotliMetadata(count));
    case "zstd":
      return zstdHeader(head, count);
  }
}

function insert(head: Buffer, at: number, bytes: Buffer): Buffer {
  return Buffer.concat([head.subarray(0, at), bytes, head.subarray(at)]);
}

/** RFC 1952: a comment stands after the ten bytes of the header, in Latin-1, and ends with a zero byte. */
function gzipComment(head: Buffer, count: number): Buffer {
  if (count === 0) return head;
  const made = insert(head, 10, Buffer.concat([Buffer.alloc(count - 1, "."), Buffer.alloc(1)]));
  made[3] = made[3]! | 0x10; // FCOMMENT
  return made;
}

/**
 * RFC 1951: empty stored blocks of five bytes. With one or two empty blocks of fixed codes before it (ten bits each),
 * such a block takes six or seven. Two blocks are always there, so that every count can be made of them.
 */
function emptyBlocks(count: number): Buffer {
  const units = 2 + Math.floor(count / 5);
  let left = count % 5;
  const blocks: Buffer[] = [];
  for (let i = 0; i < units; i++) {
    const extra = Math.min(left, 2);
    left -= extra;
    blocks.push(EMPTY[extra]!);
  }
  return Buffer.concat(blocks);
}

/** BFINAL 0, BTYPE 01, end of block (seven zero bits), none, once or twice; then BTYPE 00, padding, LEN 0, NLEN. */
const EMPTY = [
  Buffer.from([0x00, 0x00, 0x00, 0xff, 0xff]),
  Buffer.from([0x02, 0x00, 0x00, 0x00, 0xff, 0xff]),
  Buffer.from([0x02, 0x08, 0x00, 0x00, 0x00, 0xff, 0xff]),
];

/** RFC 7932 section 9.2: metadata blocks: 6 bits and padding for an empty one, else 14 bits, padding and the data. */
function brotliMetadata(count: number): Buffer {
  const blocks: Buffer[] = [];
  let left = count;
  while (left > 0) {
    if (left < 3) {
      blocks.push(Buffer.from([0x06]));
      left--;
      continue;
    }
    const length = Math.min(left - 2, 256);
    const block = Buffer.alloc(2 + length);
    block.writeUInt16LE(0x16 | ((length - 1) << 6), 0);
    blocks.push(block);
    left -= block.length;
  }
  return Buffer.concat(blocks);
}

/** By the descriptor's flag: bytes of the dictionary's id, and of the content's size. */
const ID_BYTES = [0, 1, 2, 4];
const SIZE_BYTES = [0, 2, 4, 8];

/**
 * RFC 8878 section 3.1.1: empty raw blocks of three bytes, and up to two zero bytes for the id of a dictionary, which
 * say that there is none. A skippable frame would be simpler, but not every client reads on after its first frame.
 */
function zstdHeader(head: Buffer, count: number): Buffer {
  const descriptor = head[4]!;
  const isSingle = (descriptor & 0x20) !== 0;
  const sizeFlag = descriptor >> 6;
  const size = sizeFlag === 0 && isSingle ? 1 : SIZE_BYTES[sizeFlag]!;
  const idAt = isSingle ? 5 : 6;
  const end = idAt + ID_BYTES[descriptor & 3]! + size;
  const id = count % 3;
  const made = Buffer.concat([
    head.subarray(0, idAt),
    Buffer.alloc(id),
    head.subarray(idAt, end),
    Buffer.alloc(count - id),
    head.subarray(end),
  ]);
  made[4] = descriptor | id;
  return made;
}
