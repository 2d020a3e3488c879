import type { ForeignOptions } from "../lib/config/checker.js";

/** Option names of similar packages, and what to write here instead. */
export const FOREIGN: ForeignOptions = {
  "connect-timeout": {
    respond: "there is none: the answer is always sent, and contextOf(req).signal aborts",
    time: "ms",
  },
  hono: {
    duration: "ms",
    exception: "write status and message",
  },
  "express-timeout-handler": {
    timeout: "ms",
    onTimeout: "write status and message; requestContext's render writes the body",
    onDelayedResponse: "onLate",
    disable: "late writes are always dropped",
  },
};
