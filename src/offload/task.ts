import type { MessagePort } from "node:worker_threads";
import { inputNotCloneable } from "./errors.js";
import { errorOf, type Reply } from "./reply.js";
import { follow } from "./signals.js";

let count = 0;

/** One call. It settles once, and then has no timer, listener or open port left. */
export class Task {
  readonly id = ++count;
  /** The end of the channel for the thread; the input is queued in it. */
  readonly port: MessagePort;
  readonly promise: Promise<unknown>;
  readonly #own: MessagePort;
  readonly #end = new AbortController();
  readonly #file: string;
  #resolve!: (result: unknown) => void;
  #reject!: (reason: unknown) => void;
  #timer: NodeJS.Timeout | undefined;
  #unfollow: (() => void) | undefined;
  #settled = false;

  /** Copies the input now, so that later changes by the caller have no effect. */
  constructor(file: string, input: unknown) {
    const { port1, port2 } = new (process.getBuiltinModule("node:worker_threads").MessageChannel)();
    this.#file = file;
    this.#own = port1;
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
    return this.#end.signal;
  }

  /** Calls `onAbort` when the caller's signal aborts, unless the task has settled before. */
  follow(signal: AbortSignal, onAbort: () => void): void {
    this.#unfollow = follow(signal, onAbort);
  }

  /** Calls `onTimeout` after that time, unless the task has settled or has a new limit before. */
  limit(ms: number, onTimeout: () => void): void {
    clearTimeout(this.#timer);
    if (!this.#settled) this.#timer = setTimeout(onTimeout, ms);
  }

  /** Called when the thread has finished; its reply is already in the port. */
  finish(): void {
    if (this.#settled) return;
    const reply = this.#read();
    if (reply.kind === "result") this.#settle(() => this.#resolve(reply.result));
    else this.fail(errorOf(reply, this.#file));
  }

  fail(reason: unknown): void {
    this.#settle(() => {
      this.#reject(reason);
      this.#end.abort();
    });
  }

  #read(): Reply {
    const { receiveMessageOnPort } = process.getBuiltinModule("node:worker_threads");
    const received = receiveMessageOnPort(this.#own);
    if (received === undefined) throw new Error("there was no reply");
    return received.message as Reply;
  }

  #settle(tell: () => void): void {
    if (this.#settled) return;
    this.#settled = true;
    clearTimeout(this.#timer);
    this.#unfollow?.();
    tell();
    this.#own.close();
  }
}
