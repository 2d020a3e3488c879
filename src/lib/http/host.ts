import type { IncomingMessage } from "node:http";

type Routed = IncomingMessage & {
  readonly app?: { readonly settings?: Readonly<Record<string, unknown>> };
};

/**
 * The host that an app of Express 5 reads in `req.host`, with its port; on Express 4 and on HTTP/2 too. It is that of
 * `X-Forwarded-Host` only if the request comes from a trusted proxy. Undefined if there is none.
 */
export function hostOf(req: IncomingMessage): string | undefined {
  return (trustsPeer(req) && firstValue(req.headers["x-forwarded-host"])) || hostField(req);
}

/** How many Host fields a request has. RFC 9112 section 3.2 requires one: if there are two, a proxy may have used the other. */
export function countHosts(rawHeaders: readonly string[]): number {
  let count = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) if (isHostName(rawHeaders[i]!)) count++;
  return count;
}

export function isHostName(name: string): boolean {
  return name.length === 4 && name.toLowerCase() === "host";
}

/** `:authority` is used instead of `Host` (RFC 9113 section 8.3.1). */
export function hostField({ headers }: IncomingMessage): string | undefined {
  const authority = headers[":authority"] ?? headers.host;
  return typeof authority === "string" ? authority : undefined;
}

/** The scheme that the client used, as `req.protocol` says it. */
export function schemeOf(req: IncomingMessage): "http" | "https" {
  const forwarded = trustsPeer(req) ? firstValue(req.headers["x-forwarded-proto"]) : undefined;
  if (forwarded === "http" || forwarded === "https") return forwarded;
  return (req.socket as { encrypted?: boolean } | undefined)?.encrypted === true ? "https" : "http";
}

/** Whether the app trusts the peer as a proxy; same check as Express's `req.protocol`. */
export function trustsPeer(req: IncomingMessage): boolean {
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

/** A host as it is compared: in lower case, without trailing dot; an IPv6 address in brackets and in its shortest form. */
export interface Host {
  readonly name: string;
  /** Undefined if none was written. */
  readonly port: number | undefined;
}

const HOST = /^(?:([\w-]+(?:\.[\w-]+)*)\.?|\[([\da-f:.]{2,45})\])(?::(\d{0,5}))?$/i;
const MAX_NAME = 253;
const MAX_PORT = 65_535;

/** Reads the value of a Host field; undefined if it is not one host with at most a port (RFC 9110 section 7.2). */
export function parseHost(text: string): Host | undefined {
  const [, name, address, digits] = HOST.exec(text) ?? [];
  const port = digits === undefined || digits === "" ? undefined : Number(digits);
  if (port !== undefined && port > MAX_PORT) return undefined;
  if (name !== undefined && name.length <= MAX_NAME) return { name: name.toLowerCase(), port };
  if (address === undefined || !process.getBuiltinModule("node:net").isIPv6(address)) return undefined;
  return { name: new URL(`http://[${address}]`).hostname, port };
}

/** The IPv4 address in an IPv4-mapped IPv6 address: `[::ffff:102:304]` is 1.2.3.4. Undefined for all other hosts of URLs. */
export function mappedIPv4(hostname: string): string | undefined {
  const parts = /^\[::ffff:([\da-f]{1,4}):([\da-f]{1,4})\]$/.exec(hostname)?.slice(1);
  return parts
    ?.map((part) => Number.parseInt(part, 16))
    .flatMap((two) => [two >> 8, two & 255])
    .join(".");
}

/** The port that a URL of this scheme means if it names none. */
export const DEFAULT_PORT = { http: 80, https: 443 } as const;
