import type { Http2ServerRequest } from "node:http2";
import { delegateMethods } from "./borrowed.js";
import type { ChainEnd } from "./mirror.js";
import { requestMembers } from "./request.js";
import { responseMembers } from "./response.js";

interface ChainEnds {
  readonly request: ChainEnd;
  readonly response: ChainEnd;
  /** Node's class of HTTP/2 requests, and its accessor of their `url`. */
  readonly Request: typeof Http2ServerRequest;
  readonly url: Required<Pick<PropertyDescriptor, "get" | "set">>;
}

let ends: ChainEnds | undefined;

/** The ends of Express's prototype chains: Node's prototypes for HTTP/1.1; in mirrors, our extensions of Node's for HTTP/2. */
export function chainEnds(): ChainEnds {
  ends ??= make();
  return ends;
}

function make(): ChainEnds {
  const http = process.getBuiltinModule("node:http");
  const http2 = process.getBuiltinModule("node:http2");
  const { prototype } = http2.Http2ServerRequest;
  const request = requestMembers(prototype);
  const response = responseMembers(http2.Http2ServerResponse.prototype);
  delegateMethods([http.IncomingMessage.prototype], request);
  delegateMethods([http.ServerResponse.prototype, http.OutgoingMessage.prototype], response);
  return {
    Request: http2.Http2ServerRequest,
    url: Object.getOwnPropertyDescriptor(prototype, "url") as ChainEnds["url"],
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
