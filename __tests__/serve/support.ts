import net from "node:net";
import tls from "node:tls";
import express, { type Response } from "express";
import { ConfigError } from "../../src/lib/config/config-error.js";
import { type Served, type ServeOptions, serve } from "../../src/serve/index.js";
import { certificate } from "../support/certificate.js";
import { memoryLogger } from "../support/logger.js";
import { endOf, until } from "../support/server.js";

/** How a test's server is reached; all of these speak HTTP/1.1. */
export const TRANSPORTS = ["http", "https", "http2"] as const;
export type Transport = (typeof TRANSPORTS)[number];

const open = new Set<Served>();
const wires = new Set<Wire>();

/** For `afterEach`: ends what the test has left. */
export async function closeAll(): Promise<void> {
  for (const wire of wires) wire.socket.destroy();
  wires.clear();
  await Promise.all([...open].map((served) => served.close()));
  open.clear();
}

export interface Scene {
  readonly served: Served;
  readonly port: number;
  readonly log: ReturnType<typeof memoryLogger>["entries"];
  /** Paths of the requests that have reached the app. */
  readonly seen: string[];
  /** The response to the request for this path, which waits for the test. */
  held(path: string): Promise<Response>;
  /** A connection that speaks HTTP/1.1. */
  wire(): Promise<Wire>;
}

export type Listener = Parameters<typeof serve>[0];

/**
 * Serves on loopback, without process listeners. In the default app `/hold/...` answers when the test says so,
 * `/stream/...` has sent its head by then, `/echo` returns the body, and every other path returns its path.
 */
export async function begin(
  transport: Transport = "http",
  options: ServeOptions = {},
  listener?: Listener,
): Promise<Scene> {
  const { entries: log, ...logger } = memoryLogger();
  const held = new Map<string, Response>();
  const seen: string[] = [];
  const served = await serve(listener ?? testApp(held, seen), {
    port: 0,
    host: "127.0.0.1",
    signals: false,
    onUncaught: false,
    logger,
    drain: { idleGraceMs: 60, deadlineMs: 5_000 },
    ...(transport !== "http" && { tls: await certificate() }),
    ...(transport === "http2" && { http2: true }),
    ...options,
  });
  open.add(served);
  const port = Number(new URL(served.url).port);
  return {
    served,
    port,
    log,
    seen,
    async held(path) {
      await until(() => held.has(path));
      return held.get(path)!;
    },
    wire: () => Wire.to(port, transport !== "http"),
  };
}

function testApp(held: Map<string, Response>, seen: string[]): express.Express {
  const app = express();
  app.set("env", "test");
  app.use((req, _res, next) => {
    seen.push(req.url);
    next();
  });
  app.all("/hold/*rest", (req, res) => void held.set(req.url, res));
  app.all("/stream/*rest", (req, res) => {
    res.write("begun;");
    held.set(req.url, res);
  });
  app.post("/echo", express.text({ type: () => true }), (req, res) => void res.send(req.body));
  app.use((req, res) => void res.send(req.url));
  return app;
}

/** The problems of the options: a rejection at once, and nothing listens. */
export async function refusal(options: unknown, ...others: unknown[]): Promise<ConfigError> {
  const given = others.length > 0 ? others[0] : express();
  const error = await serve(given as never, options as ServeOptions).then(
    async (served) => {
      await served.close();
      throw new Error("was accepted");
    },
    (error: unknown) => error,
  );
  if (!(error instanceof ConfigError)) throw error;
  expect(error.message).toMatch(/^express-portico: .* with the options of serve\(\):\n {2}- /);
  return error;
}

/** A connection, written and read in steps. */
export class Wire {
  /** All data received, as latin1. */
  text = "";
  /** How it ended: "fin" is a regular end (under TLS: with close_notify, or at least without a reset). */
  end: "fin" | "reset" | undefined;

  constructor(
    readonly socket: net.Socket,
    /** Under TLS, the TCP socket. */
    private readonly below = socket,
  ) {
    wires.add(this);
    socket.on("data", (chunk: Buffer) => {
      this.text += chunk.toString("latin1");
    });
    socket.on("end", () => {
      if (socket === below) endOf(socket, (end) => (this.end ??= end));
      else this.end ??= "fin";
    });
    socket.on("error", () => {
      this.end ??= "reset";
    });
    socket.on("close", () => {
      this.end ??= "fin";
    });
  }

  static async to(target: number | string, isTls = false, protocol = "http/1.1"): Promise<Wire> {
    const where = typeof target === "string" ? { path: target } : { port: target, host: "127.0.0.1" };
    const below = net.connect({ ...where, noDelay: true, allowHalfOpen: true });
    const socket = isTls
      ? tls.connect({ socket: below, rejectUnauthorized: false, ALPNProtocols: [protocol] })
      : below;
    const wire = new Wire(socket, below);
    await new Promise((resolve, reject) => {
      socket.once(isTls ? "secureConnect" : "connect", resolve);
      socket.once("error", reject);
    });
    return wire;
  }

  /** Leaves with a reset. */
  async reset(): Promise<void> {
    await new Promise(setImmediate); // in a callback of a handshake it would end this process
    this.below.resetAndDestroy();
    this.socket.destroy();
  }

  send(...parts: string[]): this {
    for (const part of parts) this.socket.write(part, "latin1");
    return this;
  }

  /** Sends a GET; HTTP/1.1 by default. */
  get(path: string, fields = "", version = "1.1"): this {
    return this.send(`GET ${path} HTTP/${version}\r\nHost: localhost\r\n${fields}\r\n`);
  }

  /** Resolves when the text has arrived; fails with the data received if it does not arrive. */
  async heard(text: string): Promise<this> {
    await until(() => this.text.includes(text) || this.end !== undefined, 5_000);
    if (!this.text.includes(text))
      throw new Error(`"${text}" was not heard; but: ${this.text} (${this.end})`);
    return this;
  }

  async ended(): Promise<"fin" | "reset"> {
    await until(() => this.end !== undefined, 8_000);
    return this.end!;
  }

  /** The responses received, each with its status and headers in lower case. */
  answers(): { status: number; headers: Record<string, string>; body: string }[] {
    const answers = [];
    let rest = this.text;
    while (rest !== "") {
      const headEnd = rest.indexOf("\r\n\r\n");
      if (headEnd === -1) break;
      const [line = "", ...fields] = rest.slice(0, headEnd).split("\r\n");
      const headers = Object.fromEntries(
        fields.map((field) => {
          const colon = field.indexOf(":");
          return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()];
        }),
      );
      const start = headEnd + 4;
      let next = rest.length;
      const status = Number(line.split(" ")[1]);
      if (status < 200) next = start;
      else if (headers["content-length"] !== undefined) next = start + Number(headers["content-length"]);
      else if (headers["transfer-encoding"] === "chunked") {
        const end = rest.indexOf("\r\n0\r\n\r\n", start);
        next = end === -1 ? rest.length : end + 7;
      }
      answers.push({ status, headers, body: rest.slice(start, next) });
      rest = rest.slice(next);
    }
    return answers;
  }
}

/** How long something takes, in milliseconds. */
export async function timed(promise: Promise<unknown>): Promise<number> {
  const start = performance.now();
  await promise;
  return performance.now() - start;
}

/** Resources that must not be left: sockets, servers, timers that keep the process alive. */
export function resources(): string[] {
  return process.getActiveResourcesInfo().filter((kind) => /TCP|Pipe|TLS|Timeout|Immediate/.test(kind));
}
