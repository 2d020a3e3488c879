import type { ServerResponse } from "node:http";

type Method = (this: unknown, ...args: unknown[]) => unknown;

/** Calls `seen` after a part of the body, or its end, has been passed to outer code. */
export function whenBodyPassed(res: ServerResponse, callback: () => void): void {
  const methods = res as unknown as Record<"write" | "end", Method>;
  for (const name of ["write", "end"] as const) {
    const outer = methods[name];
    methods[name] = function (...args) {
      const result = outer.apply(this, args); // if Node refuses it, it was not passed on
      callback();
      return result;
    };
  }
}
