import net from "node:net";
import tls from "node:tls";
import { type Answer, parseAnswer } from "./answer.js";

/** Where the app listens. */
export interface Place {
  readonly host: string;
  readonly port: number;
  /** Is put before every path. */
  readonly prefix: string;
  readonly isSecure: boolean;
  readonly ca: string | undefined;
  /** The number of requests that the app has received; unknown for an app at a URL. */
  readonly arrived?: () => number;
}

/** A connection to the app. It works on bytes, for cases look at how and where an answer ends. */
export class Connection {
  #bytes: Buffer = Buffer.alloc(0);
  #isOver = false;
  #wake: () => void = () => {};
  readonly #socket: net.Socket;

  constructor(
    place: Place,
    readonly waitMs: number,
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

  /** The error that ended the connection. */
  failure: Error | undefined;

  /** Whether the server has ended the connection. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Bytes after the answers that were read. */
  get rest(): string {
    return this.#bytes.toString("latin1");
  }

  write(bytes: string): void {
    this.#socket.write(bytes, "latin1");
  }

  /** The next answer; "closed" if the connection ended before, "silent" if the answer did not come in time. */
  async next(method: string, waitMs = this.waitMs): Promise<Answer | "closed" | "silent"> {
    let parsed = parseAnswer(this.#bytes, method, this.#isOver);
    const read = () => {
      parsed = parseAnswer(this.#bytes, method, this.#isOver);
      return parsed !== undefined || this.#isOver;
    };
    const isInTime = await this.#until(read, waitMs);
    if (parsed === undefined) return isInTime ? "closed" : "silent";
    this.#bytes = this.#bytes.subarray(parsed.length);
    return parsed.answer;
  }

  /** Waits for bytes or the end of the connection; false if neither came in time. */
  anything(withinMs: number): Promise<boolean> {
    return this.#until(() => this.#bytes.length > 0 || this.#isOver, withinMs);
  }

  /** Reads nothing until `release`, like a client that is still sending. */
  hold(): void {
    this.#socket.pause();
  }

  release(): void {
    this.#socket.resume();
  }

  /** Closes the connection like a client that is gone, with a reset where possible. */
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
