import { peek } from "../../lib/values/thrown.js";
import morgan from "./load-morgan.cjs";

export type Morgan = Readonly<Record<string, unknown>>;

let loaded: Morgan | undefined;

/**
 * Loads morgan, with its named formats and the tokens that the app has registered. Loading takes as long as the rest of
 * this package together, so it is done only when a format needs it.
 */
export function loadMorgan(): Morgan {
  loaded ??= morgan.load() as Morgan;
  return loaded;
}

/**
 * The copy of morgan that has a format or a token of this name: this package's copy, else another one that the app has
 * loaded. An app with another version of morgan registers its tokens on that copy.
 */
export function morganWith(name: string): Morgan | undefined {
  const ours = loadMorgan();
  return Object.hasOwn(ours, name) ? ours : otherCopies().find((copy) => Object.hasOwn(copy, name));
}

const MAIN = /[\\/]morgan[\\/]index\.js$/;

/** Other copies in Node's module cache, the newest first. Copies inside a bundle are not found. */
function otherCopies(): Morgan[] {
  const modules = peek(process.getBuiltinModule("node:module"), "_cache") as object | undefined;
  const cache = typeof require === "function" ? (require.cache ?? modules) : modules;
  return Object.entries(cache ?? {})
    .filter(([file]) => MAIN.test(file))
    .map(([, module]) => peek(module, "exports"))
    .filter((copy): copy is Morgan => copy !== loaded && typeof peek(copy, "token") === "function")
    .reverse();
}
