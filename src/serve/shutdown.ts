import type { ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { abortRequest, stateOf } from "../lib/request/state.js";
import { abortTasks, pendingTasks, whenIdle } from "../lib/request/tasks.js";
import type { Receiver } from "../lib/response/chain.js";
import { discardLate } from "../lib/response/discard.js";
import { watchBody } from "../lib/response/intercept.js";
import { isEventStream } from "../lib/response/write.js";
import type { Connections } from "./connections.js";
import type { CloseReport, Server } from "./options.js";
import type { ServePlan } from "./plan.js";
import { afterReading } from "./sockets.js";

/**
 * Drains a server without losing a response: it stops listening; every connection ends after its current or its next
 * response; idle connections end after `idleGraceMs`; what is left at the deadline is reset.
 *
 * @param ended fulfilled when the server and all its connections have emitted 'close'
 * @param announce called as soon as every new response says `Connection: close`
 */
export async function drainServer(
  server: Server,
  connections: Connections,
  ended: Promise<void>,
  announce: () => void,
  { idleGraceMs, deadlineMs }: ServePlan["drain"],
): Promise<Pick<CloseReport, "forced" | "tasksLeft">> {
  stopListening(server);
  connections.drain(idleGraceMs);
  announce();
  const stopEndingStreams = endIdleEventStreams(() => connections.responses());
  const grace = setTimeout(afterReading, idleGraceMs, () => connections.closeIdle());
  let deadline: NodeJS.Timeout | undefined;
  const deadlineReached = new Promise<true>((resolve) => {
    deadline = setTimeout(resolve, deadlineMs, true);
  });
  const isLate = await Promise.race([ended.then(whenIdle), deadlineReached]);
  clearTimeout(grace);
  clearTimeout(deadline);
  stopEndingStreams();
  const tasksLeft = pendingTasks();
  const forced = isLate === true && (tasksLeft.length > 0 || connections.isBusy());
  if (forced) {
    const reason = new DOMException("The server's shutdown has reached its deadline", "AbortError");
    abortTasks(reason);
    for (const { req } of connections.responses()) {
      const state = stateOf(req);
      state.truncated = true;
      abortRequest(state, reason);
    }
  }
  if (isLate === true) {
    connections.resetAll();
    await Promise.race([ended, sleep(RESET_MS, undefined, { ref: false })]);
  }
  stopLimitChecks(server);
  return { forced, tasksLeft };
}

/**
 * Stops accepting connections. The server's own `close` would also end idle connections at once, while a request may be
 * on its way there, and stop checking the time limits of the others.
 */
export function stopListening(server: Server): void {
  const { Server: NetServer } = process.getBuiltinModule("node:net");
  if (server.listening) NetServer.prototype.close.call(server);
}

/** How long connections that were reset may take to emit 'close'. */
const RESET_MS = 250;

/** Node's own `close` ends the timer that checks the time limits. It must not emit 'close' a second time. */
function stopLimitChecks(server: Server): void {
  const internals = server as unknown as { _emitCloseIfDrained?: unknown };
  internals._emitCloseIfDrained = () => {};
  server.close(() => {}); // the callback receives the error that the server is not running
  delete internals._emitCloseIfDrained;
}

/** How long an event stream may write nothing during a shutdown before it is ended. */
const IDLE_MS = 1_000;
/** How often the streams are checked. */
const CHECK_MS = 100;

/**
 * Ends idle event streams completely, not by a reset: most of their handlers never end them. Call it when a shutdown
 * begins; it returns a function that stops it.
 *
 * @param responses the responses under way; called at each check, as new ones may begin
 */
export function endIdleEventStreams(responses: () => Iterable<ServerResponse>): () => void {
  const streams = new WeakMap<ServerResponse, WatchedStream>();
  const check = () => {
    const now = performance.now();
    const idle: ServerResponse[] = [];
    for (const res of responses()) {
      if (!res.headersSent || res.writableEnded || !isEventStream(res)) continue;
      const stream = streams.get(res);
      if (stream === undefined) streams.set(res, watchStream(res, now));
      else if (stream.writes !== stream.body.writes) {
        stream.writes = stream.body.writes;
        stream.lastMs = now;
      } else if (now - stream.lastMs >= IDLE_MS) idle.push(res);
    }
    for (const res of idle) {
      res.end();
      discardLate(res); // its handler may write again before it learns of the end
    }
  };
  check();
  const timer = setInterval(check, CHECK_MS);
  return () => clearInterval(timer);
}

interface WatchedStream {
  readonly body: Receiver;
  writes: number;
  /** When a check has last seen a write. */
  lastMs: number;
}

function watchStream(res: ServerResponse, lastMs: number): WatchedStream {
  const body = watchBody(res);
  return { body, writes: body.writes, lastMs };
}
