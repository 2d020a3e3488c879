import type { MessagePort } from "node:worker_threads";
import { errorOfReply, inputNotCloneable, type Reply } from "./errors.js";

let count = 0;

/** One call. It settles once, and then has no timer, listener or open port left. */
export class Task {
  readonly id = ++count;
  /** The end of the channel for the thread; the input is queued in it. */
  readonly port: MessagePort;
  readonly promise: Promise<unknown>;
  readonly #callerPort: MessagePort;
  readonly #ending = new AbortController();
  readonly #file: string;
  #resolve!: (result: unknown) => void;
  #reject!: (reason: unknown) => void;
  #timer: NodeJS.Timeout | undefined;
  #stopListening: (() => void) | undefined;
  #settled = false;

  /** Copies the input now, so that later changes by the caller have no effect. */
  constructor(file: string, input: unknown) {
    const { port1, port2 } = new (process.getBuiltinModule("node:worker_threads").MessageChannel)();
    this.#file = file;
    this.#callerPort = port1;
    this.port = port2;
    try {
      port1.postMessage(input);
    } catch (error) {
      port1.close();
      throw inputNotCloneable(error);
    }
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** Aborts when the task has failed: a thread that still works on it must be ended. */
  get ended(): AbortSignal {
    return this.#ending.signal;
  }

  /** Calls `onAbort` when the caller's signal aborts, unless the task has settled before. */
  listenForAbort(signal: AbortSignal, onAbort: () => void): void {
    this.#stopListening = listenForAbort(signal, onAbort);
  }

  /** Calls `onTimeout` after that time, unless the task has settled or has a new limit before. */
  limit(ms: number, onTimeout: () => void): void {
    clearTimeout(this.#timer);
    if (!this.#settled) this.#timer = setTimeout(onTimeout, ms);
  }

  /** Called when the thread has finished; its reply is already in the port. */
  finish(): void {
    if (this.#settled) return;
    const reply = this.#readReply();
    if (reply.kind === "result") this.#settle(() => this.#resolve(reply.result));
    else this.fail(errorOfReply(reply, this.#file));
  }

  fail(reason: unknown): void {
    this.#settle(() => {
      this.#reject(reason);
      this.#ending.abort();
    });
  }

  #readReply(): Reply {
    const { receiveMessageOnPort } = process.getBuiltinModule("node:worker_threads");
    const received = receiveMessageOnPort(this.#callerPort);
    if (received === undefined) throw new Error("there was no reply");
    return received.message as Reply;
  }

  #settle(settle: () => void): void {
    if (this.#settled) return;
    this.#settled = true;
    clearTimeout(this.#timer);
    this.#stopListening?.();
    settle();
    this.#callerPort.close();
  }
}

const callbacksBySignal = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls `onAbort` when the signal aborts; returns a function that stops this. A signal gets one listener for all its
 * callbacks, because Node warns about more than ten; the listener is removed with the last callback.
 */
export function listenForAbort(signal: AbortSignal, onAbort: () => void): () => void {
  const callbacks = callbacksBySignal.get(signal) ?? listen(signal);
  callbacks.add(onAbort);
  return () => {
    if (!callbacks.delete(onAbort) || callbacks.size > 0 || !callbacksBySignal.delete(signal)) return;
    signal.removeEventListener("abort", callCallbacks);
  };
}

function listen(signal: AbortSignal): Set<() => void> {
  const callbacks = new Set<() => void>();
  callbacksBySignal.set(signal, callbacks);
  signal.addEventListener("abort", callCallbacks, { once: true });
  return callbacks;
}

function callCallbacks(this: AbortSignal): void {
  for (const callback of callbacksBySignal.get(this) ?? []) callback();
}
