import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type RequestState, stateOf } from "../request/state.js";
import { isHttp2 } from "../request/transport.js";

type Method = (this: Duplex, ...args: unknown[]) => unknown;

/** The status of a connection that has switched to another protocol. */
export const SWITCHED = 101;

/**
 * Notes the status of a head that is written directly to the connection, as a WebSocket server does: it takes the connection
 * over, and the response never finishes. Does nothing for requests that do not ask for an upgrade.
 *
 * @param res undefined in a listener of the server's 'upgrade' event
 */
export function watchTakeOver(req: IncomingMessage, res: ServerResponse | undefined): void {
  const upgrade = (req as { readonly upgrade?: unknown }).upgrade === true;
  if (!upgrade && (req.headers?.upgrade === undefined || isHttp2(req))) return;
  const state = stateOf(req);
  const { socket } = req;
  if (state.takenOver !== undefined || typeof socket?.write !== "function") return;
  // express-ws calls the app after it has accepted the upgrade; only then were bytes written.
  if (upgrade && res !== undefined && socket.bytesWritten > 0) {
    state.takenOver = SWITCHED;
    state.inspection?.takenOver(SWITCHED, false);
  } else watchHead(socket, state, upgrade, res);
}

function watchHead(
  socket: Socket,
  state: RequestState,
  upgrade: boolean,
  res: ServerResponse | undefined,
): void {
  state.takenOver = 0;
  // A normal response is written here too.
  const isOurs = () => res === undefined || (!res.headersSent && (upgrade || res.socket === socket));
  watchWrittenHead(socket, isOurs, (status) => {
    state.takenOver = status;
    state.inspection?.takenOver(status, true);
    for (let place = state.place; place !== undefined; place = place.outer) place.release();
  });
}

/**
 * Calls `noted` once, with the status and the bytes of a head that is written directly to the connection. Ends with the first
 * bytes that are none. Returns what ends it before.
 *
 * @param isOurs whether what is written now may be such a head
 */
export function watchWrittenHead(
  socket: Duplex,
  isOurs: () => boolean,
  noted: (status: number, head: string | Uint8Array) => void,
): () => void {
  const methods = socket as unknown as Record<"write" | "end", Method>;
  const restore: (() => void)[] = [];
  let isDone = false;
  for (const name of ["write", "end"] as const) {
    const inner = methods[name];
    const isOwn = Object.hasOwn(methods, name);
    const noting: Method = function (...args) {
      if (!isDone) note(args[0]);
      return inner.apply(this, args);
    };
    methods[name] = noting;
    restore.push(() => {
      if (methods[name] !== noting) return;
      if (isOwn) methods[name] = inner;
      else delete (methods as Partial<typeof methods>)[name];
    });
  }

  function note(chunk: unknown): void {
    const status = isOurs() ? statusIn(chunk) : undefined;
    if (status !== undefined && status < 200 && status !== SWITCHED) return; // 100 Continue
    stop();
    if (status !== undefined) noted(status, chunk as string | Uint8Array);
  }

  function stop(): void {
    isDone = true;
    for (const restoreOne of restore) restoreOne();
  }

  return stop;
}

function statusIn(chunk: unknown): number | undefined {
  if (typeof chunk !== "string" && !(chunk instanceof Uint8Array)) return undefined;
  const start =
    typeof chunk === "string" ? chunk.slice(0, 12) : Buffer.from(chunk.subarray(0, 12)).toString("latin1");
  const status = /^HTTP\/1\.\d (\d{3})/.exec(start)?.[1];
  return status === undefined ? undefined : Number(status);
}

/** Whether the connection has switched to another protocol: no HTTP may be written to it. */
export function isTakenOver(req: IncomingMessage): boolean {
  return stateOf(req).takenOver === SWITCHED;
}

/**
 * Ends a connection that was taken over. express-ws gives its handlers a response without a connection, and closes the
 * WebSocket when the head of an error is written to it.
 */
export function endTakenOver(req: IncomingMessage, res: ServerResponse, lingerMs: number): void {
  const { socket } = req;
  const timer = setTimeout(() => socket.destroy(), lingerMs).unref();
  socket.once("close", () => clearTimeout(timer));
  try {
    if (!res.headersSent) res.writeHead(500);
  } catch {
    // A hook of other code threw.
  }
}
