import { setTimeout as sleep } from "node:timers/promises";
import type { Answer } from "./answer.js";
import { Connection, type Place } from "./connection.js";
import type { HeaderBag } from "./expectations.js";
import { fail } from "./failure.js";

export interface Request {
  readonly method: string;
  readonly path: string;
  readonly headers: HeaderBag;
}

export function get(path: string, headers: HeaderBag = {}): Request {
  return { method: "GET", path, headers };
}

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
    inVain = "The client gets no answer",
  ): Promise<Answer> {
    let answer: Answer | "closed" | "silent";
    try {
      answer = await connection.next(request.method, waitMs);
    } catch (error) {
      return fail(`The client got something that is no answer. ${(error as Error).message}.`, request);
    }
    if (answer === "silent") {
      const has = connection.rest === "" ? "no answer" : "an answer that does not end";
      return fail(`${inVain}: it had ${has} after ${waitMs} ms.`, request);
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
    const { arrived } = this.place;
    const before = arrived?.() ?? 0;
    const connection = this.connect();
    connection.write(bytes);
    if (arrived === undefined) await connection.anything(ABORT_MS);
    else {
      const started = performance.now();
      while (arrived() === before && performance.now() - started < this.timeoutMs) await sleep(2);
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
