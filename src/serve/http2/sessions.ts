import type { Server as HttpServer, IncomingMessage, ServerResponse } from "node:http";
import type { ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import { streamOf } from "../../lib/request/transport.js";
import { dropBody } from "../../lib/response/close.js";
import { closeWhenSent, isWhole } from "../../lib/response/early-response.js";
import type { Server } from "../options.js";
import { HeadWatch, SessionWatch } from "./session-watch.js";
import { keepConnection } from "./stream.js";

const NGHTTP2_INTERNAL_ERROR = 2;
const NGHTTP2_ENHANCE_YOUR_CALM = 11;

/** How long RST_STREAM frames may take to be sent. */
const RESET_MS = 100;
/** How often streams and sessions are checked. */
const CHECK_MS = 1_000;

type Limits = Partial<Pick<HttpServer, "requestTimeout" | "headersTimeout" | "keepAliveTimeout">>;

/** A request, its response and their stream. */
interface OpenRequest {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly stream: ServerHttp2Stream;
  readonly startedAt: number;
  /** When a check first found that it is over, although it has emitted no 'close'. */
  overSince: number | undefined;
}

/** A session, and what is watched on it. */
interface Watched {
  readonly openRequests: Set<OpenRequest>;
  readonly head: HeadWatch;
  readonly watch: SessionWatch;
}

/** The HTTP/2 sessions of a server, and the requests under way on each. */
export class Sessions {
  private readonly all = new Map<ServerHttp2Session, Watched>();
  private draining = false;
  private timer: NodeJS.Timeout | undefined;

  /** @param onSlow called for a request whose body did not arrive in time; it must end the stream */
  constructor(
    private readonly server: Server,
    private readonly onSlow: (req: IncomingMessage, res: ServerResponse) => void,
  ) {
    server.on("session", (session: ServerHttp2Session) => this.add(session));
  }

  /** Records a request; false if its client has left already. */
  track(req: IncomingMessage, res: ServerResponse): boolean {
    const stream = streamOf(req)!;
    if (stream.closed || stream.destroyed) return false;
    const { session } = stream;
    const watched = session === undefined ? undefined : this.all.get(session as ServerHttp2Session);
    if (watched === undefined) return true;
    const { openRequests, watch } = watched;
    const openRequest = { req, res, stream, startedAt: performance.now(), overSince: undefined };
    openRequests.add(openRequest);
    keepConnection(stream, watch.socket);
    // Before Node's own listener, in which a 'close' listener of the response may throw.
    stream.prependListener("close", () => openRequests.delete(openRequest));
    if (!isWhole(stream)) stream.once("finish", () => dropUnreadBody(openRequest));
    return true;
  }

  *responses(): Iterable<ServerResponse> {
    for (const openRequest of this.openRequests()) if (!isOver(openRequest)) yield openRequest.res;
  }

  /** One GOAWAY with the last accepted stream: the client may send its later requests elsewhere. */
  drain(): void {
    this.draining = true;
    for (const session of this.all.keys()) session.close();
  }

  /** Ends the streams that are answered, even if the client still sends: the data is not read. */
  closeIdle(): void {
    for (const { req, stream } of this.openRequests()) {
      if (stream.writableFinished) closeWhenSent(req, stream);
      else stream.once("finish", () => closeWhenSent(req, stream));
    }
    this.check();
    setTimeout(() => this.check(), RESET_MS + 5).unref();
  }

  isBusy(): boolean {
    for (const openRequest of this.openRequests()) {
      if (!openRequest.stream.writableFinished && !isOver(openRequest)) return true;
    }
    return false;
  }

  resetAll(): void {
    for (const [session, { openRequests }] of this.all) {
      for (const { req, stream } of openRequests) {
        if (stream.writableFinished) closeWhenSent(req, stream);
        else stream.close(NGHTTP2_INTERNAL_ERROR);
      }
      // A closing session ends with its last stream. If the client does not read the resets, it is ended here.
      const timer = setTimeout(() => session.destroy(), RESET_MS).unref();
      session.once("close", () => clearTimeout(timer));
    }
  }

  private *openRequests(): Iterable<OpenRequest> {
    for (const { openRequests } of this.all.values()) yield* openRequests;
  }

  private add(session: ServerHttp2Session): void {
    if (ABORTS_AFTER_DESTROY) destroyAfterRead(session);
    const openRequests = new Set<OpenRequest>();
    const watch = new SessionWatch(session, () => openRequests.size > 0);
    this.all.set(session, { openRequests, head: new HeadWatch(session), watch });
    this.timer ??= setInterval(() => this.check(), CHECK_MS).unref();
    session.on("close", () => {
      this.all.delete(session);
      if (this.all.size === 0) this.stopChecks();
    });
    if (this.draining) session.close();
  }

  /** Applies the time limits that Node has for HTTP/1 only, and destroys streams that Node did not. */
  private check(): void {
    const { requestTimeout = 0, headersTimeout = 0, keepAliveTimeout = 0 } = this.server as Limits;
    const now = performance.now();
    const oldest = requestTimeout > 0 ? now - requestTimeout : Number.NEGATIVE_INFINITY;
    for (const [session, { head, watch }] of this.all) {
      watch.check(now, keepAliveTimeout);
      if (headersTimeout > 0 && head.isLate(now, headersTimeout)) {
        const error = new Error("Request head timeout"); // logged at 'sessionError'
        const code = "ERR_HTTP_REQUEST_TIMEOUT";
        session.destroy(Object.assign(error, { code }), NGHTTP2_ENHANCE_YOUR_CALM);
      }
    }
    for (const openRequest of this.openRequests()) {
      const { req, res, stream, startedAt } = openRequest;
      if (isOver(openRequest)) {
        // A listener of 'aborted' has thrown, so Node has not destroyed the stream.
        openRequest.overSince ??= now;
        if (now - openRequest.overSince >= RESET_MS) stream.destroy();
      } else if (startedAt < oldest && !isWhole(stream)) {
        if (stream.writableFinished) closeWhenSent(req, stream);
        else if (!stream.writableEnded) this.onSlow(req, res);
      }
    }
  }

  private stopChecks(): void {
    clearInterval(this.timer);
    this.timer = undefined;
  }
}

/**
 * Node 22 aborts the process (`Assertion failed: onread->IsFunction()`) if a session is destroyed while a packet is read, and
 * the rest of the packet opens a stream and ends it. A client can cause that: its GOAWAY with an error destroys the session.
 */
const ABORTS_AFTER_DESTROY = process.versions.node.startsWith("22.");

function destroyAfterRead(session: ServerHttp2Session): void {
  const { destroy } = session;
  session.destroy = (...reason) => void setImmediate(() => destroy.apply(session, reason));
}

/** Whether the client has left or the stream was reset: nothing can be sent on it. */
function isOver({ stream }: OpenRequest): boolean {
  return stream.destroyed || stream.closed || stream.aborted;
}

/** After the response, drops the rest of the request's body unless a handler reads it. */
function dropUnreadBody({ req, stream }: OpenRequest): void {
  if (isWhole(stream) && !stream.isPaused()) return;
  if (req.listenerCount("data") === 0 && req.listenerCount("readable") === 0) dropBody(req);
}
