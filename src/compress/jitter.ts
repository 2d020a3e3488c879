import { randomText } from "../lib/values/random.js";
import type { EncodingName } from "./encoders.js";

// Each format allows something that decoders skip. It goes right after the format's header. Its length can be any number of
// bytes: with steps of five, an attacker could still read the length modulo five.

/** The number of bytes to add, from 0 to `most`, evenly distributed, from a cryptographic generator. */
export function drawJitter(most: number): number {
  return Number.parseInt(randomText(6, "hex"), 16) % (most + 1);
}

/**
 * The beginning of an encoded body with `count` more bytes (with deflate `count` + 10). `head` begins with the format's
 * header. Brotli's header does not end at a byte, so there it is the output of a flush before all input.
 */
export function withJitter(encoding: EncodingName, head: Buffer, count: number): Buffer {
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

/** RFC 1952: a comment follows the ten bytes of the header, in Latin-1, and ends with a zero byte. */
function gzipComment(head: Buffer, count: number): Buffer {
  if (count === 0) return head;
  const made = insert(head, 10, Buffer.concat([Buffer.alloc(count - 1, "."), Buffer.alloc(1)]));
  made[3] = made[3]! | 0x10; // FCOMMENT
  return made;
}

/**
 * RFC 1951: empty stored blocks of five bytes. One or two empty blocks of fixed codes before it (ten bits each) make it six
 * or seven. There are always at least two blocks, so that every count is possible.
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

/** RFC 7932 section 9.2: metadata blocks. An empty one has 6 bits and padding, another one 14 bits, padding and data. */
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

/** The sizes in bytes of the dictionary's id and of the content's size, by the flags in the descriptor. */
const ID_BYTES = [0, 1, 2, 4];
const SIZE_BYTES = [0, 2, 4, 8];

/**
 * RFC 8878 section 3.1.1: empty raw blocks of three bytes, and up to two zero bytes for the id of a dictionary, which mean
 * that there is none. A skippable frame would be simpler, but some clients stop after the first frame.
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
