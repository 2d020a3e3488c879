import type { ServerResponse } from "node:http";
import { replaceHeaders } from "../lib/response/snapshot.js";
import { beginBody } from "./body.js";
import type { Watch } from "./watch.js";

/** Runs before the head is written, after the hooks of inner middleware. */
export function atHead(res: ServerResponse, watch: Watch): void {
  if (watch.answerHeaders === undefined) {
    watch.noteHead();
    beginBody(watch);
  } else {
    // Headers that inner hooks have added belong to the response that did not come.
    replaceHeaders(res, watch.answerHeaders);
    res.statusCode = watch.plan.status;
  }
}
