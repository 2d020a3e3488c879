import { isHttp2 } from "../lib/request/transport.js";
import { isHeadSent } from "../lib/response/held-response.js";
import { dropInterceptors, interceptorCount } from "../lib/response/interceptor.js";
import { headersOf } from "../lib/response/snapshot.js";
import { isTakenOver } from "../lib/response/take-over.js";
import { addedTo } from "./added.js";
import type { Watch } from "./watch.js";

/** What Node keeps of a response on HTTP/1. */
interface Outgoing {
  /** The head as it will be sent, and whether it was: `writeHead` alone sends nothing. */
  _header?: string | null;
  _headerSent?: boolean;
}

/** There is nothing left for a deadline to do, now or later: the response is on its way to the client. */
export function isBegun(watch: Watch): boolean {
  return isSent(watch) || isHandedOn(watch);
}

/** Whether anything of the response has been sent, or is on its way. */
export function isSent({ req, res }: Watch): boolean {
  if (res.finished || isTakenOver(req)) return true;
  // Towards those further in, taps have sent what they keep.
  const hasHead = interceptorCount(res) === 0 ? res.headersSent : isHeadSent(res);
  return hasHead && (isHttp2(req) || (res as Outgoing)._headerSent !== false);
}

/** A head came by here, and body after it, or the end: somebody further out has it, and will send it. */
function isHandedOn({ hasPassed, bodySeen }: Watch): boolean {
  return hasPassed && bodySeen;
}

/** A head that came by here, and of which nothing was sent, is taken back. */
export function takeHeadBack(watch: Watch): void {
  const { req, res, passed } = watch;
  if (!watch.hasPassed) return;
  if (passed !== undefined) watch.added = addedTo(passed, headersOf(res));
  dropInterceptors(res, 0); // those further out have begun that answer too
  if (typeof (res as Outgoing)._header !== "string") return;
  // With all that Node has derived from its headers.
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
