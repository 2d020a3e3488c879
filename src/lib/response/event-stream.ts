import type { ServerResponse } from "node:http";
import { peek } from "../values/thrown.js";

const EVENT_STREAM = /^\s*text\/event-stream\s*(?:;|$)/i;
const IN_HEAD = /\r\ncontent-type:\s*text\/event-stream\s*(?:;|\r)/i;

/** It is silent while there is no news, and open for as long as its client listens. */
export function isEventStream(res: ServerResponse): boolean {
  const type: unknown = res.getHeader("content-type");
  if (type !== undefined) return typeof type === "string" && EVENT_STREAM.test(type);
  // Headers that were only given to `writeHead` are nowhere but in the head, if nothing else was set before.
  const head = peek(res, "_header");
  return typeof head === "string" && IN_HEAD.test(head);
}
