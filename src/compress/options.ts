import type { Request, Response } from "express";
import type { ForeignOptions } from "../lib/config/checker.js";
import { Checker, isBag } from "../lib/config/checker.js";
import { show } from "../lib/config/config-error.js";
import { didYouMean } from "../lib/config/did-you-mean.js";
import { ENCODINGS, type EncodingName, isAvailable, makeEncoding } from "./encoders.js";
import { chooser, type NegotiationPlan } from "./negotiate.js";

export interface CompressOptions {
  /** Bodies with fewer bytes are not compressed. Default: 1,024. */
  readonly threshold?: number | undefined;
  /**
   * The encodings on offer, in order of preference where the client's weights are equal. Default: zstd, br, gzip,
   * deflate. zstd is left out if Node does not have it (before 22.15).
   */
  readonly encodings?: readonly EncodingName[] | undefined;
  /**
   * Returns `true` if a response may be compressed. Called only for types that `isCompressible` accepts, and for event
   * streams, which are compressed only with a `filter`. Default: all that `isCompressible` accepts.
   */
  readonly filter?: ((req: Request, res: Response) => boolean) | undefined;
  /** Compression levels: zstd 1 to 19 (default 3), br 0 to 11 (4), gzip and deflate 1 to 9 (5). */
  readonly levels?: CompressLevels | undefined;
  /**
   * Adds a random number of bytes, at most this many, that decoders skip, so that the length of a response reveals less
   * about its content (BREACH). `true` means 128. Default: false.
   */
  readonly jitter?: boolean | number | undefined;
  /**
   * When to send what was written. `"auto"`: at the latest when the handler pauses, which is one turn of the event loop
   * without a write. `false`: when the encoder has output, or `res.flush()` is called. Default: `"auto"`.
   */
  readonly flush?: "auto" | false | undefined;
}

export type CompressLevels = Readonly<Partial<Record<EncodingName, number | undefined>>>;

export interface CompressPlan extends NegotiationPlan {
  readonly threshold: number;
  readonly jitter: number;
  /** Whether to flush at each pause. */
  readonly flushes: boolean;
}

const KNOWN = [
  "threshold",
  "encodings",
  "filter",
  "levels",
  "jitter",
  "flush",
] as const satisfies (keyof CompressOptions)[];

const LEVELS = {
  // Above 19 the window is larger than the 8 MiB that clients must support (RFC 9659).
  zstd: { min: 1, max: 19, default: 3 },
  br: { min: 0, max: 11, default: 4 },
  // zlib's default, 6, takes a quarter more time for 1 % fewer bytes.
  gzip: { min: 1, max: 9, default: 5 },
  deflate: { min: 1, max: 9, default: 5 },
} as const satisfies Record<EncodingName, object>;

const DEFAULT_JITTER = 128;
const MAX_JITTER = 4_096;

export function checkOptions(options: CompressOptions | undefined): CompressPlan {
  const checker = Checker.of("compress()", options, KNOWN, "", FOREIGN);
  const threshold = checker.integer("threshold", { min: 0, max: 2 ** 31 - 1, unit: "bytes" }, 1_024);
  const filter = checker.function<NonNullable<CompressOptions["filter"]>>(
    "filter",
    "must be a function (req, res) that returns true or false",
  );
  const levels = checkLevels(checker);
  const encodings = new Map(
    checkEncodings(checker)
      .filter(isAvailable)
      .map((encoding) => [encoding, makeEncoding(encoding, levels[encoding])]),
  );
  const jitter = checkJitter(checker);
  const flush = checker.options.flush;
  if (flush !== undefined && flush !== "auto" && flush !== false) {
    checker.add("flush", 'must be "auto" or false. To send what was written at once, call res.flush()');
  }
  checker.done();
  const offered = [...encodings.keys()];
  const choose = chooser(offered);
  // Adapters for AWS Lambda treat a body as text unless they know its encoding, and they do not know zstd.
  const isChosen = checker.options.encodings !== undefined;
  const chooseForAdapter = isChosen ? choose : chooser(offered.filter((encoding) => encoding !== "zstd"));
  return {
    threshold,
    filter,
    jitter,
    flushes: flush !== false,
    choose(accepted, isServed) {
      const encoding = isServed ? choose(accepted) : chooseForAdapter(accepted);
      return encoding && encodings.get(encoding);
    },
  };
}

function checkEncodings(checker: Checker): readonly EncodingName[] {
  const given = checker.names("encodings");
  if (given === undefined) return ENCODINGS;
  if (given.length === 0)
    checker.add("encodings", "must not be empty; to compress nothing, leave the middleware out");
  const wrong = given.filter((name) => !ENCODINGS.includes(name as EncodingName));
  for (const name of wrong) {
    const meant = didYouMean(name, ENCODINGS);
    const hint = meant === undefined ? `They are ${ENCODINGS.join(", ")}` : `Did you mean "${meant}"?`;
    checker.add("encodings", `has ${show(name)}, which is not a known encoding. ${hint}`);
  }
  const twice = given.find((name, index) => given.indexOf(name) !== index);
  if (twice !== undefined) checker.add("encodings", `has ${show(twice)} twice`);
  return given as EncodingName[];
}

function checkLevels(checker: Checker): Record<EncodingName, number> {
  const given = checker.options.levels;
  let inner = new Checker("compress()", {}, "levels.");
  if (given !== undefined && !isBag(given)) {
    checker.add("levels", "must be an object of levels: { br: 4, gzip: 6 }");
  } else {
    inner = Checker.of("compress()", given, ENCODINGS, "levels.");
  }
  const level = (encoding: EncodingName) =>
    inner.integer(encoding, LEVELS[encoding], LEVELS[encoding].default);
  const levels = { zstd: level("zstd"), br: level("br"), gzip: level("gzip"), deflate: level("deflate") };
  checker.problems.push(...inner.problems);
  return levels;
}

function checkJitter(checker: Checker): number {
  const value = checker.options.jitter;
  if (value === undefined || value === false) return 0;
  if (value === true) return DEFAULT_JITTER;
  if (Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MAX_JITTER)
    return value as number;
  checker.add("jitter", `must be true, false, or a whole number of bytes from 1 to ${MAX_JITTER}`);
  return 0;
}

const BY_SIZE = "it follows the body's size";

/** Option names of similar packages, and what to write here instead. */
export const FOREIGN: ForeignOptions = {
  compression: {
    level: "write levels: { gzip: 6 }",
    brotli: "write levels: { br: 4 }",
    enforceEncoding: "there is none: a client that names no encoding gets an identity body",
    chunkSize: BY_SIZE,
    memLevel: BY_SIZE,
    windowBits: BY_SIZE,
    strategy: "there is none: the default one suits what is compressible",
  },
  hono: {
    encoding: 'write a list: encodings: ["gzip"]',
    contentTypeFilter: "it is filter: (req, res) => boolean, asked of what the built-in list of types has",
  },
};
