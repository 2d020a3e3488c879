import type { Http2ServerResponse } from "node:http2";
import { type LateResponse, lateWrite } from "./late.js";
import { push } from "./response-information.js";
import { isGone } from "./stream.js";

type Response = Http2ServerResponse & LateResponse;
type Method = (this: Response, ...args: unknown[]) => unknown;

/**
 * Node's class of responses, where a client that leaves cannot make a method throw: not for listeners that are plain
 * functions, and not within Node itself, which calls `writeContinue` before it calls any listener.
 */
export function guardedResponse(): typeof Http2ServerResponse {
  const Original = process.getBuiltinModule("node:http2").Http2ServerResponse;
  class Guarded extends Original {}
  const original = Original.prototype as unknown as Record<string, Method | undefined>;
  const members: Record<string, Method> = {
    write(...args) {
      return isGone(this.stream) ? lateWrite(this, ...args) : original.write!.apply(this, args);
    },
    end(...args) {
      // Without the body Node throws nothing, and emits 'close' where it has waited for this (HEAD).
      const late = [undefined, undefined, args.find((arg) => typeof arg === "function")];
      return original.end!.apply(this, isGone(this.stream) ? late : args);
    },
    createPushResponse(headers, callback) {
      push(this, original.createPushResponse as never, headers as object, callback as never);
    },
  };
  for (const name of ["writeContinue", "writeInformation", "writeEarlyHints"]) {
    const method = original[name];
    if (method === undefined) continue;
    members[name] = function (...args) {
      return !isGone(this.stream) && method.apply(this, args);
    };
  }
  for (const [name, value] of Object.entries(members)) {
    Object.defineProperty(Guarded.prototype, name, { value, configurable: true, writable: true });
  }
  return Guarded as unknown as typeof Http2ServerResponse;
}
