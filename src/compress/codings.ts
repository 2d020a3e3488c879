import type { Transform } from "node:stream";
import type { BrotliOptions, ZlibOptions } from "node:zlib";

/** In order of preference: the fastest first. */
export const ENCODINGS = ["zstd", "br", "gzip", "deflate"] as const;
export type Encoding = (typeof ENCODINGS)[number];
export type Levels = Readonly<Record<Encoding, number>>;

/** One of zlib's streams. */
export interface Encoder extends Transform {
  /** How many bytes of the body were encoded. */
  readonly bytesWritten: number;
  flush(kind: number, callback?: () => void): void;
}

/** A content encoding at one level. */
export interface Coding {
  readonly encoding: Encoding;
  /** The flush that makes the encoder write all its input. */
  readonly flushKind: number;
  /** Encodes a small body synchronously; undefined if the level is too slow for that. */
  readonly now: ((bytes: Uint8Array) => Buffer) | undefined;
  /** @param size of the body in bytes, if it is known */
  open(size: number | undefined): Encoder;
}

/** zstd is missing in the types of the oldest supported Node. */
interface Zlib {
  readonly constants: Readonly<Record<string, number>>;
  gzipSync(bytes: Uint8Array, options: ZlibOptions): Buffer;
  deflateSync(bytes: Uint8Array, options: ZlibOptions): Buffer;
  brotliCompressSync(bytes: Uint8Array, options: BrotliOptions): Buffer;
  zstdCompressSync?(bytes: Uint8Array, options: object): Buffer;
  createGzip(options: ZlibOptions): Encoder;
  createDeflate(options: ZlibOptions): Encoder;
  createBrotliCompress(options: BrotliOptions): Encoder;
  createZstdCompress?(options: object): Encoder;
}

const zlib = (): Zlib => process.getBuiltinModule("node:zlib") as unknown as Zlib;

/** zstd came with Node 22.15. */
export function isAvailable(encoding: Encoding): boolean {
  return encoding !== "zstd" || zlib().createZstdCompress !== undefined;
}

/** From these levels on, even a small body takes milliseconds. */
const DEAR = { br: 7, zstd: 10 };

export function makeCoding(encoding: Encoding, level: number): Coding {
  const lib = zlib();
  const k = lib.constants;
  switch (encoding) {
    case "gzip":
      return {
        encoding,
        flushKind: k.Z_SYNC_FLUSH!,
        now: (bytes) => lib.gzipSync(bytes, small(level, bytes.length)),
        open: (size) => lib.createGzip({ level, chunkSize: pieceFor(size) }),
      };
    case "deflate":
      return {
        encoding,
        flushKind: k.Z_SYNC_FLUSH!,
        now: (bytes) => lib.deflateSync(bytes, small(level, bytes.length)),
        open: (size) => lib.createDeflate({ level, chunkSize: pieceFor(size) }),
      };
    case "br": {
      const quality = { [k.BROTLI_PARAM_QUALITY!]: level };
      const near = { ...quality, [k.BROTLI_PARAM_LGWIN!]: 16 };
      const far = (size: number | undefined) => ({
        ...quality,
        [k.BROTLI_PARAM_LGWIN!]: brotliWindowFor(size),
        [k.BROTLI_PARAM_SIZE_HINT!]: size ?? 0,
      });
      return {
        encoding,
        flushKind: k.BROTLI_OPERATION_FLUSH!,
        now:
          level < DEAR.br
            ? (bytes) => lib.brotliCompressSync(bytes, { params: near, chunkSize: roomFor(bytes.length) })
            : undefined,
        open: (size) => lib.createBrotliCompress({ params: far(size), chunkSize: pieceFor(size) }),
      };
    }
    case "zstd": {
      const params = { [k.ZSTD_c_compressionLevel!]: level };
      const near = { ...params, [k.ZSTD_c_windowLog!]: 15 };
      return {
        encoding,
        flushKind: k.ZSTD_e_flush!,
        now:
          level < DEAR.zstd
            ? (bytes) => lib.zstdCompressSync!(bytes, { params: near, chunkSize: roomFor(bytes.length) })
            : undefined,
        open: (size) => lib.createZstdCompress!({ params, chunkSize: pieceFor(size) }),
      };
    }
  }
}

/** zlib's matches reach back at most the window size less this. */
const LOOKAHEAD = 262;

/** The smallest window that covers the body: setting up a larger one takes longer than encoding a small body. */
function small(level: number, size: number): ZlibOptions {
  const windowBits = Math.min(15, Math.max(10, 32 - Math.clz32(size + LOOKAHEAD - 1)));
  return { level, windowBits, chunkSize: roomFor(size) };
}

/** Room for the encoded body, which usually has a third of the size. Node pools buffers of less than 4 KiB. */
function roomFor(size: number): number {
  return Math.max(1_024, size >> 1);
}

/** At most 512 KiB: Brotli's usual 4 MiB gains almost nothing on a page, and each response would allocate it. */
function brotliWindowFor(size: number | undefined): number {
  return size === undefined ? 19 : Math.min(19, Math.max(16, 33 - Math.clz32(size - 1)));
}

/** The thread pool fills one buffer at a time: an encoded page fits in one. */
function pieceFor(size: number | undefined): number {
  return size === undefined ? 16_384 : Math.min(65_536, Math.max(16_384, size >> 1));
}
