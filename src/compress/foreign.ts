import type { ForeignOptions } from "../lib/config/checker.js";

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
