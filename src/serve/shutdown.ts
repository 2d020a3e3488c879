import { abortRequest, stateOf } from "../lib/request/state.js";
import { abortTasks, pendingTasks, whenIdle } from "../lib/request/tasks.js";
import { afterReading, type Connections, type Server } from "./connections.js";
import { endIdleEventStreams } from "./idle-event-streams.js";
import type { ServePlan } from "./options.js";

/** How a shutdown went. */
export interface CloseReport {
  /** Whether something was still open, or a task still running, at the deadline, and was ended by force. */
  readonly forced: boolean;
  /** From the call of `close` to the end, in milliseconds. */
  readonly durationMs: number;
  /** The names of the background tasks that had not ended. */
  readonly tasksLeft: readonly string[];
  /** The uncaught error that caused the shutdown. */
  readonly error?: unknown;
}

/**
 * Drains a server without losing a response: it stops listening; every connection ends after its current or its next
 * response; idle connections end after `idleGraceMs`; what is left at the deadline is reset.
 *
 * @param ended fulfilled at the server's 'close' event
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
    await Promise.race([ended, sleep(RESET_MS)]);
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

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}

/** Node's own `close` ends the timer that checks the time limits. It must not emit 'close' a second time. */
function stopLimitChecks(server: Server): void {
  const internals = server as unknown as { _emitCloseIfDrained?: unknown };
  internals._emitCloseIfDrained = () => {};
  server.close(() => {}); // the callback takes the error that the server does not run
  delete internals._emitCloseIfDrained;
}
