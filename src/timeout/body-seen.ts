import type { ServerResponse } from "node:http";

type Method = (this: unknown, ...args: unknown[]) => unknown;

/** Calls `seen` when a part of the body, or its end, has been handed on here. */
export function onBody(res: ServerResponse, seen: () => void): void {
  const methods = res as unknown as Record<"write" | "end", Method>;
  for (const name of ["write", "end"] as const) {
    const outer = methods[name];
    methods[name] = function (...args) {
      const result = outer.apply(this, args); // what Node refuses is not handed on
      seen();
      return result;
    };
  }
}
