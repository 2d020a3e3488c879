import type { IncomingMessage, ServerResponse } from "node:http";
import { hasBody, isHttp2 } from "../lib/request/transport.js";
import { closeAfter } from "../lib/response/close.js";
import { DEFAULT_LINGER_MS } from "../lib/response/early-response.js";
import { beforeHead } from "../lib/response/intercept.js";
import type { Server } from "./options.js";

/**
 * Answers `Expect: 100-continue` when a handler begins to read the body. Node would do it before the app runs, and a body
 * that the app then refuses would be sent for nothing. If the program adds a listener of its own, this one does nothing.
 */
export function continueOnRead(server: Server): void {
  // A parameter of type `Server` would have a union of incompatible overloads.
  const emitter = server as NodeJS.EventEmitter;
  emitter.on("checkContinue", (req: IncomingMessage, res: ServerResponse) => {
    if (emitter.listenerCount("checkContinue") > 1) return;
    if (hasBody(req)) waitForReader(req, res);
    else res.writeContinue();
    emitter.emit("request", req, res);
  });
}

function waitForReader(req: IncomingMessage, res: ServerResponse): void {
  const { _read: read } = req;
  let isAsked = false;
  req._read = function (size) {
    if (!isAsked && !res.headersSent && !res.writableEnded && !res.destroyed) {
      isAsked = true;
      res.writeContinue();
    }
    read.call(this, size);
  };
  beforeHead(
    res,
    () => {
      // The client may send the body or not, so the server cannot know where the next request begins (RFC 9110 section 10.1.1).
      if (!isAsked && !req.complete && !isHttp2(req)) closeAfter(req, res, DEFAULT_LINGER_MS);
    },
    undefined,
  );
}
