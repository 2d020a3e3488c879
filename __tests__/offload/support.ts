import { join } from "node:path";
import { type Offload, type OffloadOptions, offload } from "../../src/offload/index.js";

// On a busy machine threads take their time to start.

export const fixture = (name: string): string => join(__dirname, "fixtures", name);

/** The input of `fixtures/work.cjs`. */
export interface Order {
  readonly do: string;
  readonly [detail: string]: unknown;
}

export function worker(options?: OffloadOptions): Offload<Order> {
  return offload<Order>(fixture("work.cjs"), options);
}

/** Holds the tasks that `wait` at it until it opens. */
export class Gate {
  readonly #cells = new Int32Array(new SharedArrayBuffer(8));

  order(value?: unknown): Order {
    return { do: "wait", gate: this.#cells, value };
  }

  /** How many have begun to wait. */
  get begun(): number {
    return Atomics.load(this.#cells, 0);
  }

  open(): void {
    Atomics.store(this.#cells, 1, 1);
    Atomics.notify(this.#cells, 1);
  }
}

/** What an error of a task may have. */
export type Failure = Error & {
  readonly code?: string;
  readonly status?: number;
  readonly expose?: boolean;
  readonly headers?: object;
};

/** The reason of a promise that must reject. */
export async function reasonOf(promise: Promise<unknown>): Promise<Failure> {
  const fulfilled = Symbol("fulfilled");
  const outcome = await promise.then(
    () => fulfilled,
    (reason: unknown) => reason,
  );
  if (outcome === fulfilled) throw new Error("it did not reject");
  return outcome as Failure;
}
