import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { peek } from "../lib/values/thrown.js";

/** Addresses, also with a port or a zone, and the obfuscated identifiers of RFC 7239; no spaces or quotes. */
const PRINTABLE = /^[\w.:%[\]-]{1,64}$/;

/**
 * The client's address: the peer's, or the one that Express reads from trusted proxies. It must be read when the request
 * arrives: a closed socket has no peer address. `-` if there is none (a Unix socket).
 */
export function clientAddress(req: IncomingMessage, socket: Socket | undefined): string {
  const app = (req as Routed).app;
  if (app?.settings?.["trust proxy"]) {
    const ip = peek(req, "ip"); // a custom trust function can throw
    if (typeof ip === "string" && PRINTABLE.test(ip)) return plainAddress(withoutPort(ip));
  }
  const address = socket?.remoteAddress;
  return address === undefined ? "-" : plainAddress(address);
}

/** Some load balancers add a port in X-Forwarded-For: `203.0.113.9:51234`, `[2001:db8::1]:443`. */
const WITH_PORT = /^(?:(\d{1,3}(?:\.\d{1,3}){3})|\[([\da-f:.]+(?:%[\w.-]+)?)\])(?::\d{1,5})?$/i;

function withoutPort(address: string): string {
  const match = WITH_PORT.exec(address);
  return match?.[1] ?? match?.[2] ?? address;
}

/** An IPv4 address that an IPv6 socket reports (`::ffff:192.0.2.1`) is written as IPv4. */
export function plainAddress(address: string): string {
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
}

export type Routed = IncomingMessage & {
  readonly app?: { readonly settings?: Readonly<Record<string, unknown>> };
};
