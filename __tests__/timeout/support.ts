import net from "node:net";
import type express from "express";
import type { RequestHandler } from "express";
import type { Logged } from "../support/logger.js";
import { endOf, until } from "../support/server.js";

export const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
export const GET_FINE = "GET /fine HTTP/1.1\r\nHost: a\r\n\r\n";

/** The deadline of most tests here, and how long a handler waits that is to be late. */
export const MS = 10;

export const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Resolves once the handler's request has timed out. */
export function deadline(
  req: express.Request,
  signalOf: (req: express.Request) => AbortSignal,
): Promise<void> {
  const signal = signalOf(req);
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** Errors that would have ended the process, collected while a test runs. */
export function watchProcess(): unknown[] {
  const seen: unknown[] = [];
  const note = (error: unknown) => void seen.push(error);
  beforeEach(() => {
    seen.length = 0;
    process.on("uncaughtException", note);
    process.on("unhandledRejection", note);
  });
  afterEach(() => {
    process.off("uncaughtException", note);
    process.off("unhandledRejection", note);
    expect(seen).toEqual([]);
  });
  return seen;
}

/** What is written to standard error, as the JSON lines that the default logger writes. */
export function watchStderr(): Logged[] {
  const lines: Logged[] = [];
  beforeEach(() => {
    lines.length = 0;
    jest.spyOn(process.stderr, "write").mockImplementation((text) => {
      try {
        const { level, message, ...fields } = JSON.parse(String(text));
        lines.push({ level, message, fields });
      } catch {
        // Not ours.
      }
      return true;
    });
  });
  afterEach(() => void jest.restoreAllMocks());
  return lines;
}

export const never: RequestHandler = () => {};

export interface Talk {
  readonly text: string;
  /** How the server has ended the connection, if it has. */
  readonly end: "fin" | "reset" | undefined;
  send(text: string | Buffer): void;
  /** Resolves once the text matches; rejects if the connection ends before that. */
  has(pattern: RegExp): Promise<string>;
  ended(): Promise<void>;
  close(): void;
}

/** A connection to speak on step by step: `raw` only waits. */
export async function talk(port: number): Promise<Talk> {
  const socket = net.connect({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
  let text = "";
  let end: Talk["end"];
  const waiting = new Set<() => void>();
  const wake = () => {
    for (const look of [...waiting]) look();
  };
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
    wake();
  });
  socket.on("end", () =>
    endOf(socket, (how) => {
      end ??= how;
      socket.destroy(); // half open, it would keep the process
      wake();
    }),
  );
  socket.on("error", () => {
    end ??= "reset";
    wake();
  });
  await new Promise<void>((resolve) => socket.once("connect", resolve));
  const wait = (isDone: () => boolean, what: string) =>
    new Promise<void>((resolve, reject) => {
      const look = () => {
        if (isDone()) resolve();
        else if (end !== undefined)
          reject(new Error(`the connection has ended (${end}) before ${what}: ${text}`));
        else return;
        waiting.delete(look);
      };
      waiting.add(look);
      look();
    });
  return {
    get text() {
      return text;
    },
    get end() {
      return end;
    },
    send: (more) => void socket.write(more),
    has: (pattern) => wait(() => pattern.test(text), String(pattern)).then(() => text),
    ended: () => wait(() => end !== undefined, "its end"),
    close: () => void socket.destroy(),
  };
}

/**
 * On one connection: a request that times out, one right behind it, and one more after the first one's handler has
 * done what it does late. `GET /fine` must answer "fine".
 */
export async function survive(port: number, isDone: () => boolean, first = GET): Promise<string> {
  const connection = await talk(port);
  connection.send(first + GET_FINE);
  await connection.has(/\r\n\r\nfine/);
  await until(isDone);
  await sleep(5); // Express hands errors on in turns of its own
  connection.send(GET_FINE);
  const text = await connection.has(/\r\n\r\nfine.*\r\n\r\nfine$/s);
  connection.close();
  expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 503", "HTTP/1.1 200", "HTTP/1.1 200"]);
  return text;
}

/** One request, until its answer's body has come. */
export async function get(port: number, request = GET): Promise<string> {
  const connection = await talk(port);
  connection.send(request);
  const text = await connection.has(/\}$/);
  connection.close();
  return text;
}
