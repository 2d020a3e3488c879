import type { Http2ServerRequest } from "node:http2";
import { lendMethods } from "./borrowed.js";
import type { Ends } from "./mirror.js";
import { requestBase } from "./request.js";
import { responseBase } from "./response.js";

interface BothEnds {
  readonly request: Ends;
  readonly response: Ends;
  /** Node's class of HTTP/2 requests, and its accessor of their `url`. */
  readonly Request: typeof Http2ServerRequest;
  readonly url: Required<Pick<PropertyDescriptor, "get" | "set">>;
}

let made: BothEnds | undefined;

/** The ends of Express's prototype chains: Node's prototypes for HTTP/1.1; in mirrors, our extensions of Node's for HTTP/2. */
export function ends(): BothEnds {
  made ??= make();
  return made;
}

function make(): BothEnds {
  const http = process.getBuiltinModule("node:http");
  const http2 = process.getBuiltinModule("node:http2");
  const { prototype } = http2.Http2ServerRequest;
  const request = requestBase(prototype);
  const response = responseBase(http2.Http2ServerResponse.prototype);
  lendMethods([http.IncomingMessage.prototype], request);
  lendMethods([http.ServerResponse.prototype, http.OutgoingMessage.prototype], response);
  return {
    Request: http2.Http2ServerRequest,
    url: Object.getOwnPropertyDescriptor(prototype, "url") as BothEnds["url"],
    request: {
      original: http.IncomingMessage.prototype,
      mirrored: request,
      derive: () => class Http2ServerRequest extends http2.Http2ServerRequest {},
    },
    response: {
      original: http.ServerResponse.prototype,
      mirrored: response,
      derive: () => class Http2ServerResponse extends http2.Http2ServerResponse {},
    },
  };
}
