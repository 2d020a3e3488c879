import { once } from "node:events";
import net from "node:net";

const OK = Buffer.from("HTTP/1.1 200");

/**
 * Connections to one server, each with one request in flight. It does as little as possible, so that the core is left to the
 * system's part of the load. Each response must arrive in one piece and be a 200.
 */
export class Loopback {
  private constructor(
    private readonly sockets: readonly net.Socket[],
    private readonly request: Buffer,
  ) {}

  static async open(
    port: number,
    connections: number,
    headers: Readonly<Record<string, string>>,
  ): Promise<Loopback> {
    const fields = Object.entries({ Host: `127.0.0.1:${port}`, ...headers });
    const lines = ["GET / HTTP/1.1", ...fields.map(([name, value]) => `${name}: ${value}`), "", ""];
    const sockets = Array.from({ length: connections }, () => net.connect(port, "127.0.0.1").setNoDelay());
    await Promise.all(sockets.map((socket) => once(socket, "connect")));
    return new Loopback(sockets, Buffer.from(lines.join("\r\n")));
  }

  /** Resolves when `amount` requests have been answered. */
  ask(amount: number): Promise<void> {
    return new Promise((resolve, reject) => {
      let asked = 0;
      let answered = 0;
      for (const socket of this.sockets) {
        const next = () => {
          if (asked++ < amount) socket.write(this.request);
        };
        if (socket.destroyed) reject(new Error("the server has closed an idle connection"));
        socket
          .removeAllListeners()
          .on("error", reject)
          .on("close", () => reject(new Error("closed")));
        socket.on("data", (answer) => {
          if (!answer.subarray(0, 12).equals(OK)) reject(new Error(answer.toString()));
          if (++answered === amount) resolve();
          else next();
        });
        next();
      }
    });
  }

  close(): void {
    for (const socket of this.sockets) socket.removeAllListeners().destroy();
  }
}
