import type { IncomingMessage, ServerResponse } from "node:http";
import type { Writable } from "node:stream";
import type { Piped } from "./scope.js";
import { isServed, streamOf } from "./transport.js";

/** The streams that a request's body is piped into. */
export function pipesOf(req: IncomingMessage): readonly Writable[] {
  return [...((req as Piped)._readableState?.pipes ?? [])] as Writable[];
}

/**
 * Fails a request's body for its readers: they see the error once. The connection stays, for the answer: Node's own
 * `destroy` would close it.
 *
 * @param pipes what the body was piped into. Some readers (a parser of a compressed body) listen only there.
 */
export function failBody(
  req: IncomingMessage,
  res: ServerResponse,
  error: Error,
  pipes: readonly Writable[],
): void {
  if (req.destroyed) return;
  const hasListener = req.listenerCount("error") > 0;
  req._destroy = failAlone;
  req.destroy(error);
  if (!hasListener) failPipes(pipes, error);
  else if (pipes.length > 0) onConnectionClose(req, res, () => abortReaders(req, error, pipes));
}

/** As Node does for requests: without a listener no 'error' is emitted, because that would end the process. */
function failAlone(
  this: IncomingMessage,
  error: Error | null,
  callback: (error?: Error | null) => void,
): void {
  process.nextTick(() => callback(this.listenerCount("error") > 0 ? error : null));
}

/**
 * For readers that listen for errors, and so end their own streams. A proxy may do so only on 'aborted'. This is emitted
 * after the connection has closed, as when a client leaves: before that, a proxy would report another error.
 */
function abortReaders(req: IncomingMessage, error: Error, pipes: readonly Writable[]): void {
  req.emit("aborted");
  failPipes(pipes, error);
}

function failPipes(pipes: readonly Writable[], error: Error): void {
  for (const stream of pipes) {
    if (stream.destroyed || stream.writableFinished) continue;
    stream.destroy(stream.listenerCount("error") > 0 ? error : undefined);
  }
}

function onConnectionClose(req: IncomingMessage, res: ServerResponse, action: () => void): void {
  const connection = streamOf(req) ?? req.socket;
  if (connection.destroyed || !isServed(req, res)) setImmediate(action);
  else connection.once("close", action);
}
