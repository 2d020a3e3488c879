import type { Http2ServerResponse } from "node:http2";
import { type LateResponse, lateWrite } from "./late.js";
import { push } from "./response-information.js";
import { isGone } from "./stream.js";

type Response = Http2ServerResponse & LateResponse;
type Method = (this: Response, ...args: unknown[]) => unknown;

/**
 * Node's class of HTTP/2 responses, with methods that do not throw when the client has left. For plain listeners, and
 * for Node itself, which calls `writeContinue` before any listener.
 */
export function safeResponseClass(): typeof Http2ServerResponse {
  const Original = process.getBuiltinModule("node:http2").Http2ServerResponse;
  class SafeResponse extends Original {}
  const original = Original.prototype as unknown as Record<string, Method | undefined>;
  const members: Record<string, Method> = {
    write(...args) {
      return isGone(this.stream) ? lateWrite(this, ...args) : original.write!.apply(this, args);
    },
    end(...args) {
      // Without a body Node does not throw; for HEAD it emits 'close' only now.
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
    Object.defineProperty(SafeResponse.prototype, name, { value, configurable: true, writable: true });
  }
  return SafeResponse as unknown as typeof Http2ServerResponse;
}
