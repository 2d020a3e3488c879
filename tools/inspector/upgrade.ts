import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { pathOf, queryOf } from "../../src/lib/http/target.js";
import { isLeaving } from "../../src/lib/response/outcome.js";
import { SWITCHED, watchWrittenHead } from "../../src/lib/response/take-over.js";
import { faultOf } from "./call.js";
import { Clock, type Times } from "./clock.js";
import type { Fault } from "./report.js";

const MAX_HEAD = 16_384;

export interface UpgradeListener {
  /** A head was written, or the connection has closed without one. */
  answered(upgrade: Upgrade): void;
  /** A connection that had switched has closed. */
  closed(upgrade: Upgrade): void;
}

/** An upgrade request that the server gives to its own listeners. It has no response: they write to the connection. */
export class Upgrade {
  /** Once it is shown. */
  id: number | undefined;
  readonly time = Date.now();
  readonly server: Times = { down: 0, held: 0, up: 0 };
  readonly answering: Times = { down: 0, held: 0, up: 0 };
  readonly remoteAddress: string | undefined;
  /** As it came: a proxy changes `req.url`. */
  readonly path: string;
  readonly query: string | undefined;
  /** Undefined before the answer. */
  status: number | undefined;
  /** The head that was written. */
  head: string | undefined;
  /** Until the answer. */
  totalMs: number | undefined;
  openMs: number | undefined;
  fault: Fault | undefined;
  readonly #clock: Clock;
  readonly #stopHead: () => void;
  readonly #onEnd = () => {
    this.#hasLeft = !this.socket.writableEnded;
  };
  readonly #onClose = () => this.#closed();
  /** The client has ended the connection, and not the server. */
  #hasLeft = false;

  /** @param listeners how many the server has */
  constructor(
    readonly req: IncomingMessage,
    private readonly socket: Duplex,
    readonly listeners: number,
    private readonly listener: UpgradeListener,
    private readonly now: () => number,
  ) {
    this.remoteAddress = req.socket?.remoteAddress;
    this.path = pathOf(req);
    this.query = queryOf(req);
    this.#clock = new Clock(this.server, now);
    this.#stopHead = watchWrittenHead(
      socket,
      () => true,
      (status, head) => {
        const bytes =
          typeof head === "string" ? head : Buffer.from(head.subarray(0, MAX_HEAD)).toString("latin1");
        this.head = bytes.slice(0, MAX_HEAD).split("\r\n\r\n", 1)[0]!; // not the body
        this.#answered(status);
      },
    );
    socket.on("end", this.#onEnd);
    socket.on("close", this.#onClose);
  }

  /** Runs the server's listeners. */
  run(emit: () => boolean): boolean {
    this.#clock.hold(this.answering, "held");
    this.#clock.enter(this.answering, "down");
    try {
      return emit();
    } catch (error) {
      this.fault = faultOf(error);
      throw error;
    } finally {
      if (this.totalMs === undefined) this.#clock.leave();
    }
  }

  /** Removes everything from the connection. */
  stop(): void {
    this.#stopHead();
    this.socket.removeListener("end", this.#onEnd);
    this.socket.removeListener("close", this.#onClose);
  }

  get isOpen(): boolean {
    return this.status === SWITCHED && this.openMs === undefined;
  }

  #answered(status: number): void {
    this.#clock.count();
    this.status = status;
    this.totalMs = this.#clock.elapsed;
    if (status !== SWITCHED) this.stop();
    this.listener.answered(this);
  }

  #closed(): void {
    if (this.status === SWITCHED) {
      this.openMs = this.now() - this.#clock.started - this.totalMs!;
      this.stop();
      this.listener.closed(this);
    } else if (this.status === undefined) {
      const { errored } = this.socket;
      this.#answered(this.#hasLeft || (errored !== null && isLeaving(errored)) ? 499 : 444);
    }
  }
}
