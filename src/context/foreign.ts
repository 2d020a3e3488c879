import type { ForeignOptions } from "../lib/config/checker.js";

const NAMED = "the header is X-Request-Id, in the request and in the response";

/** Option names of similar packages, and what to write here instead. */
export const FOREIGN: ForeignOptions = {
  hono: {
    limitLength: "there is none: an id of more than 128 characters is not taken",
    headerName: NAMED,
    generator: "there is none: an id is random, or the client's where trustRequestId says so",
  },
  "express-request-id": {
    setHeader: NAMED,
    headerName: NAMED,
    generator: "there is none: an id is random, or the client's where trustRequestId says so",
  },
};
