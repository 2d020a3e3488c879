import net from "node:net";
import tls from "node:tls";
import { type Answer, parseAnswer } from "./answer.js";

/** Where the app listens. */
export interface Place {
  readonly host: string;
  readonly port: number;
  /** Goes before every path. */
  readonly prefix: string;
  readonly isSecure: boolean;
  readonly ca: string | undefined;
  /** How many requests have come to the app; only known of one that is tested within its process. */
  readonly arrived?: () => number;
}

/** One connection to the app, read and written byte by byte: where an answer ends, and how, is what cases look at. */
export class Connection {
  #bytes: Buffer = Buffer.alloc(0);
  #isOver = false;
  #wake: () => void = () => {};
  readonly #socket: net.Socket;

  constructor(
    place: Place,
    readonly patienceMs: number,
  ) {
    const { host, port, ca } = place;
    this.#socket = place.isSecure
      ? tls.connect({ host, port, ca, ALPNProtocols: ["http/1.1"], servername: net.isIP(host) ? "" : host })
      : net.connect({ host, port, allowHalfOpen: true, noDelay: true });
    this.#socket.on("data", (chunk) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      this.#wake();
    });
    const over = () => {
      this.#isOver = true;
      this.#wake();
    };
    this.#socket.on("end", over).on("close", over);
    this.#socket.on("error", (error) => {
      this.failure ??= error;
      over();
    });
  }

  /** Why it ended, if not by the server's FIN. */
  failure: Error | undefined;

  /** The server has ended it. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Bytes that belong to no answer read so far. */
  get rest(): string {
    return this.#bytes.toString("latin1");
  }

  write(bytes: string): void {
    this.#socket.write(bytes, "latin1");
  }

  /** The next answer, or what there is instead of one: nothing more came, or not in time. */
  async next(method: string, patienceMs = this.patienceMs): Promise<Answer | "closed" | "silent"> {
    let parsed = parseAnswer(this.#bytes, method, this.#isOver);
    const read = () => {
      parsed = parseAnswer(this.#bytes, method, this.#isOver);
      return parsed !== undefined || this.#isOver;
    };
    const isInTime = await this.#until(read, patienceMs);
    if (parsed === undefined) return isInTime ? "closed" : "silent";
    this.#bytes = this.#bytes.subarray(parsed.length);
    return parsed.answer;
  }

  /** Waits for more bytes or the end, at most so long; true if anything came. */
  anything(withinMs: number): Promise<boolean> {
    return this.#until(() => this.#bytes.length > 0 || this.#isOver, withinMs);
  }

  /** Reads nothing until `release`, as a client that is busy sending. */
  hold(): void {
    this.#socket.pause();
  }

  release(): void {
    this.#socket.resume();
  }

  /** Leaves as a client that is gone: with a reset where there is one to be had. */
  abort(): void {
    if (this.#socket instanceof tls.TLSSocket) this.#socket.destroy();
    else this.#socket.resetAndDestroy();
  }

  async close(): Promise<void> {
    if (this.#socket.closed) return;
    const closed = new Promise<void>((resolve) => this.#socket.once("close", () => resolve()));
    this.#socket.destroy();
    await closed;
  }

  #until(condition: () => boolean, withinMs: number): Promise<boolean> {
    if (condition()) return Promise.resolve(true);
    return new Promise((resolve, reject) => {
      const finish = (result: boolean) => {
        clearTimeout(timer);
        this.#wake = () => {};
        resolve(result);
      };
      const timer = setTimeout(finish, withinMs, false);
      this.#wake = () => {
        try {
          if (condition()) finish(true);
        } catch (error) {
          clearTimeout(timer);
          this.#wake = () => {};
          reject(error as Error);
        }
      };
    });
  }
}
