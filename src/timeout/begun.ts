import { isHttp2 } from "../lib/request/transport.js";
import { isHeadSent } from "../lib/response/buffered-view.js";
import { dropInterceptors, interceptorCount } from "../lib/response/interceptor-chain.js";
import { headersOf } from "../lib/response/snapshot.js";
import { isTakenOver } from "../lib/response/take-over.js";
import { headersAdded } from "./added.js";
import type { Watch } from "./watch.js";

/** Node's private fields of an HTTP/1 response. */
interface Outgoing {
  /** The serialized head, and whether it was sent: `writeHead` alone sends nothing. */
  _header?: string | null;
  _headerSent?: boolean;
}

/** Whether the response is on its way to the client, so that the deadline has nothing left to do. */
export function isBegun(watch: Watch): boolean {
  return isSent(watch) || isPassedOn(watch);
}

/** Whether any part of the response has been sent. */
export function isSent({ req, res }: Watch): boolean {
  if (res.finished || isTakenOver(req)) return true;
  // Towards those further in, taps have sent what they keep.
  const hasHead = interceptorCount(res) === 0 ? res.headersSent : isHeadSent(res);
  return hasHead && (isHttp2(req) || (res as Outgoing)._headerSent !== false);
}

/** Whether outer code has the head and some of the body, or the end, and will send it. */
function isPassedOn({ hasHead: hasPassed, hasBody: bodySeen }: Watch): boolean {
  return hasPassed && bodySeen;
}

/** Takes back a head that was written and not sent. */
export function takeHeadBack(watch: Watch): void {
  const { req, res, headHeaders: passed } = watch;
  if (!watch.hasHead) return;
  if (passed !== undefined) watch.outerHeaders = headersAdded(passed, headersOf(res));
  dropInterceptors(res, 0); // the outer ones have begun that answer too
  if (typeof (res as Outgoing)._header !== "string") return;
  // Reset the fields that Node has derived from the headers too.
  Object.assign(res, {
    _header: null,
    _last: false,
    _contentLength: null,
    _defaultKeepAlive: true,
    _hasBody: req.method !== "HEAD",
    chunkedEncoding: false,
    shouldKeepAlive: watch.keepAlive,
  });
}
