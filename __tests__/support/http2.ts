import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { certificate } from "./certificate.js";

export type Http2Server = http2.Http2Server | http2.Http2SecureServer;

const open: (() => Promise<unknown>)[] = [];

/** Listens on loopback with TLS, HTTP/2 and HTTP/1.1; `tls: false` is cleartext HTTP/2. Closed by `closeHttp2`. */
export async function listenHttp2(
  handler: unknown,
  { tls = true, ...options }: { tls?: boolean } & http2.SecureServerOptions = {},
): Promise<{ readonly port: number; readonly url: string; readonly server: Http2Server }> {
  const server = tls
    ? http2.createSecureServer({ ...(await certificate()), allowHTTP1: true, ...options })
    : http2.createServer(options as http2.ServerOptions);
  server.on("request", handler as never);
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push(() => {
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of sockets) socket.destroy();
    return closed;
  });
  const { port } = server.address() as AddressInfo;
  return { port, url: `${tls ? "https" : "http"}://localhost:${port}`, server };
}

/** A client session, destroyed by `closeHttp2`. Errors of the session are ignored, because the streams have them too. */
export function connectHttp2(url: string): http2.ClientHttp2Session {
  const session = http2.connect(url, { rejectUnauthorized: false });
  session.on("error", () => {});
  open.push(async () => session.destroy());
  return session;
}

/** For `afterEach` or `afterAll`. */
export async function closeHttp2(): Promise<void> {
  // Clients are closed first.
  await Promise.all(
    open
      .splice(0)
      .reverse()
      .map((close) => close()),
  );
}

export interface Ask {
  readonly method?: string;
  readonly headers?: Record<string, string | string[]>;
  /** Sent in one piece, or in several if it is a list. */
  readonly body?: string | Buffer | readonly (string | Buffer)[];
}

export interface Answer {
  readonly status: number;
  /** Without pseudo-headers. */
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
  /** Of the informational (1xx) responses, in order. */
  readonly interim: readonly http.IncomingHttpHeaders[];
  /** Whether the response ended regularly. */
  readonly isWhole: boolean;
  /** The code of RST_STREAM; 0 if there was none. Only for HTTP/2. */
  readonly reset?: number;
}

/** One request on a session. Resolves when its stream has closed, for whatever reason. */
export function ask(session: http2.ClientHttp2Session, path: string, options: Ask = {}): Promise<Answer> {
  const { method = "GET", headers = {}, body } = options;
  return new Promise((resolve) => {
    const stream = session.request(
      { ":path": path, ":method": method, ...headers },
      { endStream: body === undefined },
    );
    let status = 0;
    let answered: http.IncomingHttpHeaders = {};
    const interim: http.IncomingHttpHeaders[] = [];
    const chunks: Buffer[] = [];
    let ended = false;
    stream.on("headers", (fields) => interim.push(plain(fields)));
    stream.on("response", (fields) => {
      status = fields[":status"]!;
      answered = plain(fields);
    });
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("end", () => {
      ended = true;
    });
    stream.on("error", () => {});
    stream.on("close", () => {
      const text = Buffer.concat(chunks).toString("latin1");
      const reset = stream.rstCode ?? 0;
      resolve({ status, headers: answered, body: text, interim, reset, isWhole: ended && reset === 0 });
    });
    for (const part of [body ?? []].flat() as (string | Buffer)[]) stream.write(part);
    if (body !== undefined) stream.end();
  });
}

/** The same over HTTP/1.1. */
export function ask1(url: string, path: string, options: Ask = {}): Promise<Answer> {
  const { method = "GET", headers = {}, body } = options;
  return new Promise((resolve, reject) => {
    const request = (url.startsWith("https:") ? https : http).request(url, {
      path,
      method,
      headers,
      rejectUnauthorized: false,
    } as https.RequestOptions);
    const interim: http.IncomingHttpHeaders[] = [];
    request.on("information", (info) => interim.push(info.headers));
    request.on("error", reject);
    request.on("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", () => {});
      response.on("close", () => {
        const text = Buffer.concat(chunks).toString("latin1");
        const { statusCode, headers, complete } = response;
        resolve({ status: statusCode!, headers, body: text, interim, isWhole: complete });
      });
    });
    for (const part of [body ?? []].flat() as (string | Buffer)[]) request.write(part);
    request.end();
  });
}

function plain(fields: http.IncomingHttpHeaders): http.IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !name.startsWith(":")));
}
