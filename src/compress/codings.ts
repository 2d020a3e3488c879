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
  open(): Encoder;
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
        now: (bytes) => lib.gzipSync(bytes, { level, windowBits: windowFor(bytes.length) }),
        open: () => lib.createGzip({ level }),
      };
    case "deflate":
      return {
        encoding,
        flushKind: k.Z_SYNC_FLUSH!,
        now: (bytes) => lib.deflateSync(bytes, { level, windowBits: windowFor(bytes.length) }),
        open: () => lib.createDeflate({ level }),
      };
    case "br": {
      const quality = { [k.BROTLI_PARAM_QUALITY!]: level };
      const small = { params: { ...quality, [k.BROTLI_PARAM_LGWIN!]: 16 } };
      // A window of 512 KiB: the usual 4 MiB gain next to nothing on a page, and each response would pay for them.
      const large = { params: { ...quality, [k.BROTLI_PARAM_LGWIN!]: 19 } };
      return {
        encoding,
        flushKind: k.BROTLI_OPERATION_FLUSH!,
        now: level < DEAR.br ? (bytes) => lib.brotliCompressSync(bytes, small) : undefined,
        open: () => lib.createBrotliCompress(large),
      };
    }
    case "zstd": {
      const params = { [k.ZSTD_c_compressionLevel!]: level };
      const small = { params: { ...params, [k.ZSTD_c_windowLog!]: 15 } };
      return {
        encoding,
        flushKind: k.ZSTD_e_flush!,
        now: level < DEAR.zstd ? (bytes) => lib.zstdCompressSync!(bytes, small) : undefined,
        open: () => lib.createZstdCompress!({ params }),
      };
    }
  }
}

/** zlib never looks farther back than the window less this. */
const LOOKAHEAD = 262;

/** The least window that sees the whole body: to set up a larger one takes longer than to code a small body. */
function windowFor(size: number): number {
  return Math.min(15, Math.max(10, 32 - Math.clz32(size + LOOKAHEAD - 1)));
}
