import { peek } from "../lib/values/thrown.js";
import morgan from "./morgan.cjs";

export type Morgan = Readonly<Record<string, unknown>>;

let loaded: Morgan | undefined;

/**
 * morgan: its named formats, and the tokens that people have registered with it. It takes as long to load as all the
 * rest of this package, and most logs have a format of their own: it is loaded for the first format that is morgan's.
 */
export function loadMorgan(): Morgan {
  loaded ??= morgan.load() as Morgan;
  return loaded;
}

/**
 * The morgan that has a format or a token of this name: this package's, else any other copy that the app has loaded. An
 * app that has another version of it registers its own there.
 */
export function morganWith(name: string): Morgan | undefined {
  const ours = loadMorgan();
  return Object.hasOwn(ours, name) ? ours : otherCopies().find((copy) => Object.hasOwn(copy, name));
}

const MAIN = /[\\/]morgan[\\/]index\.js$/;

/** Those that Node has loaded, the newest first. In a bundle there is none to be seen. */
function otherCopies(): Morgan[] {
  const modules = peek(process.getBuiltinModule("node:module"), "_cache") as object | undefined;
  const cache = typeof require === "function" ? (require.cache ?? modules) : modules;
  return Object.entries(cache ?? {})
    .filter(([file]) => MAIN.test(file))
    .map(([, module]) => peek(module, "exports"))
    .filter((copy): copy is Morgan => copy !== loaded && typeof peek(copy, "token") === "function")
    .reverse();
}
