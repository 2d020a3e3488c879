import type { IncomingMessage, ServerResponse } from "node:http";
import type { ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import type { Server } from "./connections.js";

const NGHTTP2_NO_ERROR = 0;
const NGHTTP2_INTERNAL_ERROR = 2;

/** How long resets may take to go out. */
const LAST_WORDS_MS = 100;

/** Knows a server's HTTP/2 sessions, and the responses under way on each. */
export class Sessions {
  private readonly all = new Map<ServerHttp2Session, Set<ServerResponse>>();
  private draining = false;

  constructor(private readonly server: Server) {
    server.on("session", (session: ServerHttp2Session) => this.add(session));
  }

  begin(req: IncomingMessage, res: ServerResponse): void {
    const { session } = (req as unknown as { stream: { session?: ServerHttp2Session } }).stream;
    const responses = session === undefined ? undefined : this.all.get(session);
    if (responses === undefined) return;
    responses.add(res);
    res.on("close", () => responses.delete(res));
  }

  *responses(): Iterable<ServerResponse> {
    for (const responses of this.all.values()) yield* responses;
  }

  /** One GOAWAY, with the last stream that was taken: the client knows which of its requests it may send elsewhere. */
  drain(): void {
    this.draining = true;
    for (const session of this.all.keys()) session.close();
  }

  /** What was answered is over, even if the client goes on sending: nobody reads it. */
  closeIdle(): void {
    for (const res of this.responses()) {
      const stream = streamOf(res);
      if (stream.writableFinished) stream.close(NGHTTP2_NO_ERROR);
      else stream.once("finish", () => stream.close(NGHTTP2_NO_ERROR));
    }
  }

  areBusy(): boolean {
    for (const res of this.responses()) if (!streamOf(res).writableFinished) return true;
    return false;
  }

  cut(): void {
    for (const [session, responses] of this.all) {
      for (const res of responses) {
        const stream = streamOf(res);
        stream.close(stream.writableFinished ? NGHTTP2_NO_ERROR : NGHTTP2_INTERNAL_ERROR);
      }
      // With its last stream it ends by itself, for it is closing. If its client does not take the resets, it is too late.
      const timer = setTimeout(() => session.destroy(), LAST_WORDS_MS).unref();
      session.once("close", () => clearTimeout(timer));
    }
  }

  private add(session: ServerHttp2Session): void {
    const responses = new Set<ServerResponse>();
    this.all.set(session, responses);
    session.on("close", () => this.all.delete(session));
    const { keepAliveTimeout } = this.server as { keepAliveTimeout?: number };
    // Node has no limit for a session on which nothing happens.
    session.setTimeout(keepAliveTimeout ?? 0);
    session.on("timeout", () => {
      if (responses.size === 0) session.close();
    });
    if (this.draining) session.close();
  }
}

function streamOf(res: ServerResponse): ServerHttp2Stream {
  return (res as unknown as { readonly stream: ServerHttp2Stream }).stream;
}
