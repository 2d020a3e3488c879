import { peek } from "../../src/lib/values/thrown.js";

/** Packages whose middleware is a function without a name, by a property or by a part of its source. */
const UNNAMED: readonly (readonly [name: string, isIt: (handler: unknown, source: string) => boolean])[] = [
  ["express-rate-limit", (handler) => isFunction(handler, "resetKey") && isFunction(handler, "getKey")],
  [
    "http-proxy-middleware",
    (handler, source) => isFunction(handler, "upgrade") && /shouldProxy/.test(source),
  ],
  ["connect-timeout", (_handler, source) => source.includes("req.emit('timeout', delay)")],
];

const MAX_SOURCE = 80;

/** A function without a name by its package's name, which is empty if it is not known, and by the beginning of its code. */
export function describeUnnamed(handler: unknown): { readonly name: string; readonly source?: string } {
  if (typeof handler !== "function") return { name: "" };
  const code = Function.prototype.toString.call(handler);
  const name = UNNAMED.find(([, isIt]) => isIt(handler, code))?.[0] ?? "";
  const start = code.slice(0, 8 * MAX_SOURCE).replace(/\s+/g, " ");
  return { name, source: start.length > MAX_SOURCE ? `${start.slice(0, MAX_SOURCE)}…` : start };
}

function isFunction(handler: unknown, key: string): boolean {
  return typeof peek(handler, key) === "function";
}
