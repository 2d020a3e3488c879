import type { Request, Response } from "express";
import type { Checker, ForeignOptions } from "../lib/config/checker.js";
import { show } from "../lib/config/config-error.js";
import { suggestion } from "../lib/config/did-you-mean.js";
import { isWhole } from "../lib/config/integers.js";
import { fn, integer, names, nested, readOptions, type SchemaOf, valid } from "../lib/config/schema.js";
import { ENCODINGS, type EncodingName, isAvailable, makeEncoding } from "./encoders.js";
import { chooser, type NegotiationPlan } from "./negotiate.js";

export interface CompressOptions {
  /** Bodies with fewer bytes are not compressed. @defaultValue `1_024` */
  readonly threshold?: number | undefined;
  /**
   * The encodings on offer, in order of preference where the client's weights are equal. zstd is left out if Node does
   * not have it (before 22.15). @defaultValue zstd, br, gzip, deflate
   */
  readonly encodings?: readonly EncodingName[] | undefined;
  /**
   * Returns `true` if a response may be compressed. Called only for types that `isCompressible` accepts, and for event
   * streams, which are compressed only with a `filter`. @defaultValue all that `isCompressible` accepts
   */
  readonly filter?: ((req: Request, res: Response) => boolean) | undefined;
  /**
   * Compression levels: zstd 1 to 19, br 0 to 11, gzip and deflate 1 to 9.
   * @defaultValue `{ zstd: 3, br: 4, gzip: 5, deflate: 5 }`
   */
  readonly levels?: CompressLevels | undefined;
  /**
   * Adds a random number of bytes, at most this many, that decoders skip, so that the length of a response reveals less
   * about its content (BREACH). `true` means 128. @defaultValue `false`
   */
  readonly jitter?: boolean | number | undefined;
  /**
   * When to send what was written. `"auto"`: at the latest when the handler pauses, which is one turn of the event loop
   * without a write. `false`: when the encoder has output, or `res.flush()` is called. @defaultValue `"auto"`
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

const LEVELS = () =>
  ({
    // Above 19 the window is larger than the 8 MiB that clients must support (RFC 9659).
    zstd: integer({ min: 1, max: 19 }, 3),
    br: integer({ min: 0, max: 11 }, 4),
    // zlib's default, 6, takes a quarter more time for 1 % fewer bytes.
    gzip: integer({ min: 1, max: 9 }, 5),
    deflate: integer({ min: 1, max: 9 }, 5),
  }) satisfies SchemaOf<CompressLevels>;

const DEFAULT_JITTER = 128;
const MAX_JITTER = 4_096;

export const OPTIONS = () =>
  ({
    threshold: integer({ min: 0, max: 2 ** 31 - 1, unit: "bytes" }, 1_024),
    encodings: checkEncodings,
    filter: fn("must be a function (req, res) that returns true or false"),
    levels: nested(LEVELS, { reason: "must be an object of levels: { br: 4, gzip: 6 }" }),
    jitter: valid<boolean | number>(
      (value) => typeof value === "boolean" || isWhole({ min: 1, max: MAX_JITTER }, value),
      `must be true, false, or a whole number of bytes from 1 to ${MAX_JITTER}`,
      false,
    ),
    flush: valid(
      (value) => value === "auto" || value === false,
      'must be "auto" or false. To send what was written at once, call res.flush()',
      "auto",
    ),
  }) satisfies SchemaOf<CompressOptions>;

export function checkOptions(options: CompressOptions | undefined): CompressPlan {
  const { checker, plan } = readOptions("compress()", OPTIONS, options, { foreign: FOREIGN });
  checker.done();
  const { threshold, filter, levels, flush } = plan;
  const available = plan.encodings.filter(isAvailable);
  const encodings = new Map(available.map((name) => [name, makeEncoding(name, levels[name])]));
  const choose = chooser(available);
  // Adapters for AWS Lambda treat a body as text unless they know its encoding, and they do not know zstd.
  const isChosen = checker.options.encodings !== undefined;
  const chooseForAdapter = isChosen ? choose : chooser(available.filter((encoding) => encoding !== "zstd"));
  return {
    ...{ threshold, filter },
    jitter: plan.jitter === true ? DEFAULT_JITTER : Number(plan.jitter),
    flushes: flush !== false,
    choose(accepted, isServed) {
      const encoding = isServed ? choose(accepted) : chooseForAdapter(accepted);
      return encoding && encodings.get(encoding);
    },
  };
}

function checkEncodings(checker: Checker, option: string): readonly EncodingName[] {
  const given = names()(checker, option);
  if (given === undefined) return ENCODINGS;
  if (given.length === 0)
    checker.add(option, "must not be empty; to compress nothing, leave the middleware out");
  const wrong = given.filter((name) => !ENCODINGS.includes(name as EncodingName));
  for (const name of wrong) {
    const remedy = suggestion(name, ENCODINGS, `They are ${ENCODINGS.join(", ")}`);
    checker.add(option, `has ${show(name)}, which is not a known encoding. ${remedy}`);
  }
  const twice = given.find((name, index) => given.indexOf(name) !== index);
  if (twice !== undefined) checker.add(option, `has ${show(twice)} twice`);
  return given as EncodingName[];
}

const BY_SIZE = "it follows the body's size";

/** Option names of similar packages, and what to write here instead. */
export const FOREIGN: ForeignOptions = {
  compression: {
    level: "write levels: { gzip: 6 }",
    brotli: "write levels: { br: 4 }",
    enforceEncoding: "there is none: a client that names no encoding gets an identity body",
    "chunkSize memLevel windowBits": BY_SIZE,
    strategy: "there is none: the default one suits what is compressible",
  },
  hono: {
    encoding: 'write a list: encodings: ["gzip"]',
    contentTypeFilter: "it is filter: (req, res) => boolean, asked of what the built-in list of types has",
  },
};
