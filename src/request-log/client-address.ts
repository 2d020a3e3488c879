import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { peek } from "../lib/values/thrown.js";

/** Addresses, with a port or a zone too, and RFC 7239's obfuscated identifiers: nothing with a space or a quote. */
const PRINTABLE = /^[\w.:%[\]-]{1,64}$/;

/**
 * The client's address: the peer's, or what Express makes of the proxies that the app trusts. Asked when the request
 * comes, for a socket forgets its peer. `-` for one that has none, such as a Unix socket.
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

/** `203.0.113.9:51234`, `[2001:db8::1]:443`: so some load balancers write X-Forwarded-For. A bare IPv6 address has no port. */
const WITH_PORT = /^(?:(\d{1,3}(?:\.\d{1,3}){3})|\[([\da-f:.]+(?:%[\w.-]+)?)\])(?::\d{1,5})?$/i;

function withoutPort(address: string): string {
  const match = WITH_PORT.exec(address);
  return match?.[1] ?? match?.[2] ?? address;
}

/** An IPv4 client of an IPv6 socket is an IPv4 client. */
export function plainAddress(address: string): string {
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
}

export type Routed = IncomingMessage & {
  readonly app?: { readonly settings?: Readonly<Record<string, unknown>> };
};
