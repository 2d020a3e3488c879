import type { Http2ServerResponse } from "node:http2";
import type { Response } from "./response.js";
import { isForbidden } from "./response-headers.js";

type Callback = () => void;

/** HTTP/1.1's interim responses and trailers: with callbacks, and without what HTTP/2 forbids. */
export function informationMethods(prototype: Http2ServerResponse) {
  const { writeContinue, writeEarlyHints, setTrailer } = prototype as unknown as Response;
  return {
    writeContinue(callback?: Callback) {
      return told(writeContinue.call(this), callback);
    },

    writeProcessing(callback?: Callback) {
      const { stream } = this;
      const isTooLate = this.headersSent || stream.destroyed || stream.closed;
      if (!isTooLate) stream.additionalHeaders({ ":status": 102 });
      return told(!isTooLate, callback);
    },

    writeEarlyHints(hints: Record<string, string | string[]>, callback?: Callback) {
      const { stream } = this;
      if (stream.destroyed || stream.closed) return false;
      const allowed = Object.entries(hints ?? {}).filter(([name, value]) => !isForbidden(name, value));
      return told(writeEarlyHints.call(this, Object.fromEntries(allowed)), callback);
    },

    setTrailer(name: string, value: string) {
      if (!isForbidden(name, value)) setTrailer.call(this, name, value);
    },

    addTrailers(headers: unknown) {
      const pairs = Array.isArray(headers) ? headers : Object.entries(headers as object);
      for (const [name, value] of pairs) this.setTrailer(name, value);
    },
  } as Partial<Response> & ThisType<Response>;
}

function told(isSent: unknown, callback: Callback | undefined): boolean {
  if (typeof callback === "function") process.nextTick(callback);
  return isSent !== false;
}
