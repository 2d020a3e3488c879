import type { ServerResponse } from "node:http";
import { isHttp2 } from "../request/http2.js";

// What Node says of calls that come too late, in its own words: people look for its codes.

export function headersSent(verb: "write" | "set" | "append" | "remove"): Error {
  return withCode(`Cannot ${verb} headers after they are sent to the client`, "ERR_HTTP_HEADERS_SENT");
}

export function writeAfterEnd(res: ServerResponse, callback: ((error: Error) => void) | undefined): void {
  const error = withCode("write after end", "ERR_STREAM_WRITE_AFTER_END");
  process.nextTick(() => {
    callback?.(error);
    // On HTTP/2 Node resets the stream. But the answer that is held back is a good one.
    if (!res.destroyed && !isHttp2(res.req)) res.emit("error", error);
  });
}

export function lost(): Error {
  return withCode("another answer has taken the place of this one", "ERR_STREAM_DESTROYED");
}

function withCode(message: string, code: string): Error {
  return Object.assign(new Error(message), { code });
}
