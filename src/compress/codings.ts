import type { Transform } from "node:stream";
import type { BrotliOptions, ZlibOptions } from "node:zlib";

/** In the order of preference: the fastest first. */
export const ENCODINGS = ["zstd", "br", "gzip", "deflate"] as const;
export type Encoding = (typeof ENCODINGS)[number];
export type Levels = Readonly<Record<Encoding, number>>;

/** One of zlib's streams. */
export interface Encoder extends Transform {
  /** How much of the body has been coded. */
  readonly bytesWritten: number;
  flush(kind: number, callback?: () => void): void;
}

/** A content coding at a level. */
export interface Coding {
  readonly encoding: Encoding;
  /** What makes the encoder give out all that it was given. */
  readonly flushKind: number;
  /** Codes a small body on the spot; undefined where the level is too dear for that. */
  readonly now: ((bytes: Uint8Array) => Buffer) | undefined;
  /** @param size of the body, if it is known */
  open(size: number | undefined): Encoder;
}

/** Node's types know zstd from a later version on than ours must run with. */
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

/** Above these a small body takes milliseconds too. */
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

/** zlib never looks farther back than the window less this. */
const LOOKAHEAD = 262;

/** The least window that sees the whole body: to set up a larger one takes longer than to code a small body. */
function small(level: number, size: number): ZlibOptions {
  const windowBits = Math.min(15, Math.max(10, 32 - Math.clz32(size + LOOKAHEAD - 1)));
  return { level, windowBits, chunkSize: roomFor(size) };
}

/** What is coded should fit, and most takes a third. Node pools buffers of less than 4 KiB. */
function roomFor(size: number): number {
  return Math.max(1_024, size >> 1);
}

/** At most 512 KiB: the usual 4 MiB gain next to nothing on a page, and each response would pay for them. */
function brotliWindowFor(size: number | undefined): number {
  return size === undefined ? 19 : Math.min(19, Math.max(16, 33 - Math.clz32(size - 1)));
}

/** A thread fills one buffer in each of its turns: what is coded of a page fits in one. */
function pieceFor(size: number | undefined): number {
  return size === undefined ? 16_384 : Math.min(65_536, Math.max(16_384, size >> 1));
}
