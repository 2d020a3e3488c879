import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { hostname, networkInterfaces } from "node:os";
import { allowedHosts } from "../../src/allowed-hosts/index.js";
import type { Handler } from "../../src/lib/express/handler.js";
import { securityHeaders } from "../../src/security-headers/index.js";
import { readAssets } from "./assets.cjs";
import type { EventStream } from "./event-stream.js";
import type { Inspector } from "./inspector.js";
import { noteOwnServer } from "./servers.js";

const TOKEN_BYTES = 24;

/** The page's server: everything is below a path that has the token, and anything else is a 404. */
export class PageServer {
  readonly #server: Server;
  readonly #token = process.getBuiltinModule("node:crypto").randomBytes(TOKEN_BYTES).toString("base64url");
  readonly #sockets = new Set<Socket>();
  readonly #assets = readAssets();
  readonly #before: readonly Handler[];

  constructor(
    private readonly host: string,
    private readonly inspector: Inspector,
    private readonly events: EventStream,
  ) {
    this.#before = [allowedHosts(hostsOf(host)), securityHeaders({ preset: "page" })];
    this.#server = createServer((req, res) => this.#handle(req, res, 0));
    noteOwnServer(this.#server);
    this.#server.on("connection", (socket: Socket) => {
      socket.unref(); // an open page does not keep the process
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
  }

  /** Returns the URL. Workers of a cluster have a page each. */
  async listen(port: number): Promise<string> {
    const server = this.#server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ port, host: this.host, exclusive: true }, resolve);
    });
    server.unref();
    const address = server.address() as AddressInfo;
    return `http://${linkHost(this.host)}:${address.port}/${this.#token}/`;
  }

  async close(): Promise<void> {
    this.events.close();
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #handle(req: IncomingMessage, res: ServerResponse, i: number): void {
    const handler = this.#before[i];
    if (handler === undefined) {
      this.#route(req, res);
      return;
    }
    Object.assign(res, { locals: (res as { locals?: object }).locals ?? {} }); // for the nonce
    handler(req, res, () => this.#handle(req, res, i + 1));
  }

  #route(req: IncomingMessage, res: ServerResponse): void {
    res.setHeader("Cache-Control", "no-store");
    const name = this.#nameOf(req);
    const id = /^requests\/(\d{1,15})$/.exec(name ?? "")?.[1];
    if (name === "events") this.events.add(res);
    else if (id !== undefined) this.#sendDetail(res, Number(id));
    else this.#sendAsset(res, name === "" ? "index.html" : name);
  }

  #sendAsset(res: ServerResponse, name: string | undefined): void {
    const asset = this.#assets.get(name ?? "");
    if (asset === undefined) {
      answer(res, 404, "text/plain; charset=utf-8", "Not found\n");
      return;
    }
    const { cspNonce = "" } = (res as unknown as { locals: { cspNonce?: string } }).locals;
    answer(res, 200, asset.type, asset.text.replaceAll("{nonce}", cspNonce));
  }

  #sendDetail(res: ServerResponse, id: number): void {
    const detail = this.inspector.detail(id);
    if (detail === undefined) answer(res, 404, "application/json", '{"missing":true}');
    else answer(res, 200, "application/json", JSON.stringify(detail));
  }

  /** What is asked for; undefined without the token. */
  #nameOf({ method, url = "" }: IncomingMessage): string | undefined {
    const [, token = "", name] = /^\/([\w-]+)\/([\w./-]*)$/.exec(url) ?? [];
    const given = Buffer.from(token);
    const known = Buffer.from(this.#token);
    const { timingSafeEqual } = process.getBuiltinModule("node:crypto");
    const isAllowed = given.length === known.length && timingSafeEqual(given, known);
    return isAllowed && method === "GET" ? name : undefined;
  }
}

function answer(res: ServerResponse, status: number, type: string, text: string): void {
  res.writeHead(status, { "Content-Type": type, "Content-Length": Buffer.byteLength(text) });
  res.end(res.req.method === "HEAD" ? undefined : text);
}

const ANY = new Set(["0.0.0.0", "::", "[::]"]);

/** The names and addresses of the page. A page that another name leads to (DNS rebinding) is refused. */
function hostsOf(host: string): string[] {
  const own = ANY.has(host)
    ? [
        hostname(),
        ...Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address)),
      ]
    : [host];
  const names = ["localhost", "127.0.0.1", "[::1]", ...own.map(bracketed)];
  return [...new Set(names.filter((name) => /^[\w.-]+$|^\[[\da-f:.]+\]$/i.test(name)))];
}

function linkHost(host: string): string {
  return ANY.has(host) ? "127.0.0.1" : bracketed(host);
}

function bracketed(host: string): string {
  return host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
}
