import type { ServerResponse } from "node:http";

/** It is silent while there is no news, and open for as long as its client listens. */
export function isEventStream(res: ServerResponse): boolean {
  const type: unknown = res.getHeader("content-type");
  return typeof type === "string" && /^\s*text\/event-stream\s*(?:;|$)/i.test(type);
}
