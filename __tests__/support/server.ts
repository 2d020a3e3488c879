import http from "node:http";
import type { AddressInfo } from "node:net";
import net from "node:net";

export interface TestServer {
  readonly url: string;
  readonly port: number;
  readonly server: http.Server;
  close(): Promise<void>;
}

const open = new Set<TestServer>();

/**
 * Where every connection is refused. The port of a server that was closed would not do: the system may give it to another test.
 */
export const REFUSING = "http://127.0.0.1:2";

/** Listens on a free port of the loopback. `closeServers` closes it (put that in `afterEach`). */
export async function listen(
  handler: http.RequestListener,
  options: http.ServerOptions = {},
): Promise<TestServer> {
  const server = http.createServer(options, handler);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const started: TestServer = {
    url: `http://127.0.0.1:${port}`,
    port,
    server,
    close: () =>
      new Promise((resolve) => {
        open.delete(started);
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  open.add(started);
  return started;
}

export async function closeServers(): Promise<void> {
  await Promise.all([...open].map((server) => server.close()));
}

export interface RawExchange {
  /** Everything that was received, as latin1 text. */
  readonly text: string;
  /** How the connection ended: the server's FIN, its reset, or our time limit (`quietMs` after the last byte). */
  readonly end: "fin" | "reset" | "quiet";
  /** Milliseconds from sending to the first received byte. */
  readonly firstByteMs: number;
}

/** A busy machine may begin late. Shorter where the test sets its own limit, because it may expect no response. */
const FIRST_MS = 2_000;
const LEAST_FIRST_MS = 500;
const QUIET_MS = 150;

/**
 * Writes the parts to a plain socket, each in a packet of its own, and reads until the server ends the connection, or nothing
 * has been received for `quietMs`.
 */
export function raw(
  port: number,
  parts: string | Buffer | (string | Buffer)[],
  quietMs?: number,
): Promise<RawExchange> {
  return new Promise((resolve) => {
    const socket = net.connect({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
    const started = performance.now();
    let text = "";
    let firstByteMs = Number.NaN;
    let quiet: NodeJS.Timeout;
    const finish = (end: RawExchange["end"]) => {
      clearTimeout(quiet);
      socket.destroy();
      resolve({ text, end, firstByteMs });
    };
    const patience = () => {
      clearTimeout(quiet);
      const beforeFirst = quietMs === undefined ? FIRST_MS : Math.max(quietMs, LEAST_FIRST_MS);
      quiet = setTimeout(isQuiet, text === "" ? beforeFirst : (quietMs ?? QUIET_MS));
    };
    // On a busy machine the time may be over before the process has read what came, and before the server's own events.
    const isQuiet = async () => {
      const before = text;
      for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
      if (text === before) finish("quiet");
    };
    patience();
    socket.on("data", (chunk: Buffer) => {
      if (text === "") firstByteMs = performance.now() - started;
      text += chunk.toString("latin1");
      patience();
    });
    socket.on("end", () => endOf(socket, finish));
    socket.on("error", () => finish("reset"));
    const list = Array.isArray(parts) ? [...parts] : [parts];
    const sendNext = () => {
      const part = list.shift();
      if (part !== undefined && socket.writable) socket.write(part, () => setImmediate(sendNext));
    };
    socket.on("connect", sendNext);
  });
}

/**
 * How a connection ended that has emitted 'end'. Before Node 24 a reset that arrives together with the last bytes looks like a
 * plain end, but the next write fails, even an empty one.
 */
export function endOf(socket: net.Socket, tell: (end: "fin" | "reset") => void): void {
  if (!socket.writable || socket.writableLength > 0) tell("fin");
  else
    socket.write("", (error) =>
      tell((error as NodeJS.ErrnoException | null)?.code === "ECONNRESET" ? "reset" : "fin"),
    );
}

/** The fastest first byte of several exchanges: the time of the server, without that of other work on this machine. */
export async function leastFirstByteMs(exchange: () => Promise<RawExchange>): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 5; i++) least = Math.min(least, (await exchange()).firstByteMs);
  return least;
}

/** Resolves when the condition holds; rejects if it does not hold within the time limit. */
export async function until(condition: () => boolean, patienceMs = 25_000): Promise<void> {
  const started = performance.now();
  for (let tries = 0; !condition(); tries++) {
    if (performance.now() - started > patienceMs) throw new Error(`never came true: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, tries < 50 ? 1 : 5)); // what lasts is asked less often
  }
}
