import type { ServerResponse } from "node:http";
import { discardLate } from "../lib/response/discard.js";
import { isEventStream } from "../lib/response/write.js";

/** How long an event stream may write nothing during a shutdown before it is ended. */
const IDLE_MS = 1_000;
/** How often the streams are checked. */
const CHECK_MS = 100;

/**
 * Ends idle event streams completely, not by a reset: most of their handlers never end them. Call it when a shutdown
 * begins; it returns a function that stops it.
 *
 * @param responses the responses under way; called at each check, as new ones may begin
 */
export function endIdleEventStreams(responses: () => Iterable<ServerResponse>): () => void {
  const lastWrites = new WeakMap<ServerResponse, number>();
  const check = () => {
    const now = performance.now();
    const idle: ServerResponse[] = [];
    for (const res of responses()) {
      if (!res.headersSent || res.writableEnded || !isEventStream(res)) continue;
      const last = lastWrites.get(res);
      if (last === undefined) recordWrites(res, lastWrites);
      else if (now - last >= IDLE_MS) idle.push(res);
    }
    for (const res of idle) {
      res.end();
      discardLate(res); // its handler may write again before it learns of the end
    }
  };
  check();
  const timer = setInterval(check, CHECK_MS);
  return () => clearInterval(timer);
}

function recordWrites(res: ServerResponse, lastWrites: WeakMap<ServerResponse, number>): void {
  lastWrites.set(res, performance.now());
  const write = res.write as (this: ServerResponse, ...args: unknown[]) => boolean;
  res.write = function recorded(this: ServerResponse, ...args: unknown[]) {
    lastWrites.set(res, performance.now());
    return write.apply(this, args);
  };
}
