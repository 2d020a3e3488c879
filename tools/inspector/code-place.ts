import { relative } from "node:path";
import { fileURLToPath } from "node:url";

const MAX_LENGTH = 300;
const FOREIGN = /^node:|^native$|^<anonymous>$|[\\/]node_modules[\\/]/;

/**
 * The first line of a stack that is code of the app: `renderInvoice (app.ts:29:50)`. Files below the working directory are
 * relative to it.
 */
export function placeOf(stack: string | undefined): string | undefined {
  for (const line of stack?.split("\n") ?? []) {
    const frame = /^\s+at (?:async )?(.+)$/.exec(line)?.[1] ?? "";
    const open = frame.endsWith(")") ? frame.lastIndexOf(" (") : -1;
    const location = open === -1 ? frame : frame.slice(open + 2, -1);
    const position = /:\d+:\d+$/.exec(location);
    const [file = ""] = location.slice(0, position?.index).split("?"); // a loader's, for a module that is loaded again
    if (position === null || FOREIGN.test(file)) continue;
    const place = `${shortPath(file)}${position[0]}`;
    return (open === -1 ? place : `${frame.slice(0, open)} (${place})`).slice(0, MAX_LENGTH);
  }
  return undefined;
}

function shortPath(file: string): string {
  const path = file.startsWith("file:") ? pathOfUrl(file) : file;
  const short = relative(process.cwd(), path);
  return short.startsWith("..") ? path : short;
}

function pathOfUrl(url: string): string {
  try {
    return fileURLToPath(url);
  } catch {
    return url; // a bundler's, or of another host
  }
}
