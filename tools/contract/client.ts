import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import tls from "node:tls";
import type { HeaderBag } from "./expectations.js";
import { type Answer, fail, parseAnswer, type Request } from "./message.js";

const ABORT_MS = 100;

/** Sends the requests of one case. */
export class Client {
  readonly #open = new Set<Connection>();

  constructor(
    readonly place: Place,
    readonly timeoutMs: number,
  ) {}

  /** Sends a request on a new connection, and returns the answer. */
  async ask(request: Request, waitMs = this.timeoutMs): Promise<Answer> {
    const connection = this.connect();
    connection.write(this.text(request, { Connection: "close" }));
    const answer = await this.answerTo(request, connection, waitMs);
    await connection.close();
    return answer;
  }

  /** The next answer on the connection. No answer is a failure. */
  async answerTo(
    request: Request,
    connection: Connection,
    waitMs = this.timeoutMs,
    noAnswer = "The client gets no answer",
  ): Promise<Answer> {
    let answer: Answer | "closed" | "silent";
    try {
      answer = await connection.next(request.method, waitMs);
    } catch (error) {
      return fail(`The client got something that is no answer. ${(error as Error).message}.`, request);
    }
    if (answer === "silent") {
      const has = connection.rest === "" ? "no answer" : "an answer that does not end";
      return fail(`${noAnswer}: it had ${has} after ${waitMs} ms.`, request);
    }
    if (answer === "closed") {
      const why = connection.failure === undefined ? "" : ` (${connection.failure.message})`;
      return fail(`The client got no answer: the connection was closed${why}.`, request);
    }
    return answer;
  }

  /**
   * Sends a request, and closes the connection when the app has received it. For an app at a URL, that moment is unknown:
   * wait for the first bytes, or for a short time.
   */
  async leave(bytes: string): Promise<void> {
    const { requestCount } = this.place;
    const before = requestCount?.() ?? 0;
    const connection = this.connect();
    connection.write(bytes);
    if (requestCount === undefined) await connection.anything(ABORT_MS);
    else {
      const started = performance.now();
      while (requestCount() === before && performance.now() - started < this.timeoutMs) await sleep(2);
      await connection.anything(20); // for the app to begin
    }
    connection.abort();
  }

  connect(): Connection {
    const connection = new Connection(this.place, this.timeoutMs);
    this.#open.add(connection);
    return connection;
  }

  /** The head of a request as it is sent. */
  text({ method, path, headers }: Request, more: HeaderBag = {}): string {
    const { host, port, isSecure, prefix } = this.place;
    const authority = port === (isSecure ? 443 : 80) ? host : `${host}:${port}`;
    const all = { Host: host.includes(":") ? `[${host}]:${port}` : authority, ...headers, ...more };
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
    return `${method} ${prefix}${path} HTTP/1.1\r\n${lines.join("")}\r\n`;
  }

  /** Closes the connections that a case has left open. */
  async close(): Promise<void> {
    await Promise.all([...this.#open].map((connection) => connection.close()));
  }
}

/** Where the app listens. */
export interface Place {
  readonly host: string;
  readonly port: number;
  /** Is put before every path. */
  readonly prefix: string;
  readonly isSecure: boolean;
  readonly ca: string | undefined;
  /** The number of requests that the app has received; unknown for an app at a URL. */
  readonly requestCount?: () => number;
}

/** A connection to the app. It works on bytes, because some cases test how and where an answer ends. */
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
