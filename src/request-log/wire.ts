import type { IncomingMessage } from "node:http";
import { plainAddress, type Routed } from "./client-address.js";

/** The connection's peer, and the scheme and host that the client addressed. */
export interface Connection {
  readonly scheme: "http" | "https";
  /** An IPv6 address is in brackets. */
  readonly host: string | undefined;
  readonly port: number | undefined;
  readonly peerAddress: string | undefined;
  readonly peerPort: number | undefined;
}

const connections = new WeakMap<IncomingMessage, Connection>();

/** Must be called when the request arrives, and is then kept: an HTTP/2 request loses its connection later. */
export function connectionOf(req: IncomingMessage): Connection {
  let connection = connections.get(req);
  if (connection === undefined) {
    connection = readConnection(req);
    connections.set(req, connection);
  }
  return connection;
}

function readConnection(req: IncomingMessage): Connection {
  const { socket, headers } = req;
  const isTrusted = trustsPeer(req);
  const forwarded = isTrusted ? firstValue(headers["x-forwarded-proto"]) : undefined;
  const isEncrypted = (socket as { encrypted?: boolean } | undefined)?.encrypted === true;
  const isHttps = forwarded === "http" || forwarded === "https" ? forwarded === "https" : isEncrypted;
  const authority = (isTrusted && firstValue(headers["x-forwarded-host"])) || authorityOf(req);
  return {
    scheme: isHttps ? "https" : "http",
    ...parseAuthority(authority),
    peerAddress: socket?.remoteAddress && plainAddress(socket.remoteAddress),
    peerPort: socket?.remotePort,
  };
}

/** `:authority` is used instead of `Host` (RFC 9113 section 8.3.1). */
function authorityOf({ headers }: IncomingMessage): string | undefined {
  const authority = headers[":authority"] ?? headers.host;
  return typeof authority === "string" ? authority : undefined;
}

/** Whether the app trusts the peer as a proxy; same check as Express's `req.protocol`. */
function trustsPeer(req: IncomingMessage): boolean {
  const trusts = (req as Routed).app?.settings?.["trust proxy fn"];
  if (typeof trusts !== "function") return false;
  try {
    return Boolean(trusts(req.socket?.remoteAddress, 0));
  } catch {
    return false; // the app's own trust function threw
  }
}

/** The value that the outermost proxy set. */
function firstValue(value: string | string[] | undefined): string | undefined {
  const text = Array.isArray(value) ? value[0] : value;
  return text?.split(",", 1)[0]?.trim();
}

const AUTHORITY = /^([\w.-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::(\d{1,5}))?$/i;

/** Undefined if it is not a host: a client can send anything. */
function parseAuthority(authority: string | undefined): Pick<Connection, "host" | "port"> {
  const match = AUTHORITY.exec(authority ?? "");
  const port = match?.[2] === undefined ? undefined : Number(match[2]);
  return { host: match?.[1], port: port !== undefined && port <= 65_535 ? port : undefined };
}
