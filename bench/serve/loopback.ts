import { once } from "node:events";
import net from "node:net";

const HEAD_END = Buffer.from("\r\n\r\n");

export interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** The expected status. */
  readonly status: number;
}

/**
 * Connections to one server, each with at most one request in flight. It does as little as possible, so that the core is left
 * to the system's part of the load. Each response must have the expected status, and a `Content-Length` or no body.
 */
export class Loopback {
  private constructor(
    private readonly clients: readonly Client[],
    private readonly request: Buffer,
  ) {}

  static async open(port: number, connections: number, exchange: Exchange): Promise<Loopback> {
    const { method, path, headers, body = "", status } = exchange;
    const fields = Object.entries({ Host: `127.0.0.1:${port}`, ...headers });
    if (body !== "") fields.push(["Content-Length", String(Buffer.byteLength(body))]);
    const lines = [
      `${method} ${path} HTTP/1.1`,
      ...fields.map(([name, value]) => `${name}: ${value}`),
      "",
      body,
    ];
    const sockets = Array.from({ length: connections }, () => net.connect(port, "127.0.0.1").setNoDelay());
    await Promise.all(sockets.map((socket) => once(socket, "connect")));
    const clients = sockets.map((socket) => new Client(socket, status));
    return new Loopback(clients, Buffer.from(lines.join("\r\n")));
  }

  /** Closed loop: resolves when `amount` requests have been answered. */
  ask(amount: number): Promise<void> {
    return new Promise((resolve, reject) => {
      let asked = 0;
      let answered = 0;
      for (const client of this.clients) {
        const next = () => {
          if (asked++ < amount) client.send(this.request, received);
        };
        const received = () => {
          if (++answered === amount) resolve();
          else next();
        };
        client.onFailure = reject;
        next();
      }
    });
  }

  /**
   * Open loop: sends `perSecond` requests, evenly spaced, and returns the milliseconds from the time at which each was due to
   * the end of its response. A request for which no connection is free waits, and its wait counts.
   */
  rate(perSecond: number, amount: number): Promise<Float64Array> {
    const gap = 1_000 / perSecond;
    const taken = new Float64Array(amount);
    const free = [...this.clients];
    return new Promise((resolve, reject) => {
      const start = performance.now();
      let sent = 0;
      let answered = 0;
      for (const client of this.clients) client.onFailure = reject;
      const tick = () => {
        for (const now = performance.now(); sent < amount && start + sent * gap <= now; sent++) {
          const client = free.pop();
          if (client === undefined) break;
          const index = sent;
          client.send(this.request, () => {
            taken[index] = performance.now() - (start + index * gap);
            free.push(client);
            if (++answered === amount) resolve(taken);
          });
        }
        if (sent < amount) setImmediate(tick);
      };
      tick();
    });
  }

  close(): void {
    for (const client of this.clients) client.close();
  }
}

class Client {
  onFailure: (reason: Error) => void = () => {};
  private onResponse: () => void = () => {};
  private received = 0;
  /** Length of the response, once its head has arrived. */
  private expected = 0;
  private pending: Buffer | undefined;
  private readonly statusLine: Buffer;

  constructor(
    private readonly socket: net.Socket,
    status: number,
  ) {
    this.statusLine = Buffer.from(`HTTP/1.1 ${status}`);
    socket
      .on("error", (error) => this.onFailure(error))
      .on("close", () => this.onFailure(new Error("the server has closed a connection")))
      .on("data", (chunk: Buffer) => this.onData(chunk));
  }

  send(request: Buffer, onResponse: () => void): void {
    if (this.socket.destroyed) this.onFailure(new Error("the server has closed an idle connection"));
    this.onResponse = onResponse;
    this.socket.write(request);
  }

  close(): void {
    this.socket
      .removeAllListeners()
      .on("error", () => {})
      .destroy();
  }

  private onData(chunk: Buffer): void {
    this.received += chunk.length;
    if (this.expected === 0) this.readHead(chunk);
    if (this.expected === 0 || this.received < this.expected) return;
    if (this.received > this.expected) this.onFailure(new Error("more was received than one response"));
    this.received = 0;
    this.expected = 0;
    this.onResponse();
  }

  private readHead(chunk: Buffer): void {
    const bytes = this.pending === undefined ? chunk : Buffer.concat([this.pending, chunk]);
    const end = bytes.indexOf(HEAD_END);
    this.pending = end < 0 ? bytes : undefined;
    if (end < 0) return;
    const head = bytes.toString("latin1", 0, end);
    const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
    const hasBody = !/^HTTP\/1\.1 (?:204|304)/.test(head);
    if (!bytes.subarray(0, this.statusLine.length).equals(this.statusLine)) this.onFailure(new Error(head));
    else if (hasBody && length === undefined) this.onFailure(new Error(`no Content-Length: ${head}`));
    else this.expected = end + 4 + (hasBody ? Number(length) : 0);
  }
}
