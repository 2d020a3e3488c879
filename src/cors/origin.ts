import { domainToASCII } from "node:url";

/** An origin as it is configured: one origin, or a pattern over hosts or ports. */
export interface OriginPattern {
  readonly scheme: string;
  /** Without the `*.`; IPv6 with its brackets. */
  readonly host: string;
  /** `*.` stood before the host: one or more labels more. */
  readonly subdomains: boolean;
  /** Undefined: the scheme's own. `"*"`: any, or none. */
  readonly port: string | undefined;
}

/** Scheme (64), `://`, host (253), port (6): no origin of the web is longer. */
export const MAX_ORIGIN_LENGTH = 326;

const DEFAULT_PORTS: Readonly<Record<string, string>> = { http: "80", https: "443", ws: "80", wss: "443" };

/** Reads an origin or a pattern as it is configured; a string is what is wrong with it, and what to write instead. */
export function parseOriginPattern(text: string): OriginPattern | string {
  if (text === "null")
    return 'is no origin that can be told apart: use allowNull: true if "null" must be allowed';
  if (text !== text.trim()) return "must not begin or end with white space";
  if (text.includes(","))
    return 'must be one origin; write a list for several: ["https://a.example", "https://b.example"]';
  const parts = /^([^:/?#]*):\/\/(.*)$/.exec(text);
  if (parts === null)
    return `must begin with a scheme: "https://${text.replace(/^\/*/, "") || "app.example"}"`;
  const [, scheme, rest] = parts as unknown as [string, string, string];
  return schemeProblem(scheme) ?? parseAuthority(scheme, rest);
}

function schemeProblem(scheme: string): string | undefined {
  if (scheme !== scheme.toLowerCase()) return "must be in lower case, as browsers send it";
  if (!/^[a-z][a-z0-9+.-]{0,63}$/.test(scheme))
    return `has no valid scheme ("${scheme}"); write https:// or http://`;
  if (scheme === "file") return 'has the scheme file, whose origin is "null" for browsers; see allowNull';
  return undefined;
}

function parseAuthority(scheme: string, rest: string): OriginPattern | string {
  if (/[/?#\\]/.test(rest))
    return `must be an origin, without path, query or trailing slash: "${scheme}://${rest.split(/[/?#\\]/)[0]}"`;
  if (rest.includes("@")) return "must not have a user name or password in it";
  const parts = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/.exec(rest);
  if (parts === null) return "has no valid host and port";
  const [, written, port] = parts as unknown as [string, string, string | undefined];
  const subdomains = written.startsWith("*.");
  const host = subdomains ? written.slice(2) : written;
  const problem = hostProblem(host, subdomains) ?? portProblem(scheme, port);
  return problem ?? { scheme, host, subdomains, port };
}

function hostProblem(host: string, subdomains: boolean): string | undefined {
  if (host === "") return "has no host";
  if (host.includes("*")) {
    return 'may have a * only as the whole first label ("https://*.example.com") or as the port ("http://localhost:*")';
  }
  if (host.startsWith("[")) return ipv6Problem(host, subdomains);
  if (host !== host.toLowerCase())
    return `must be in lower case, as browsers send it: "${host.toLowerCase()}"`;
  if (/[^\x20-\x7e]/.test(host)) return `must be in Punycode, as browsers send it: "${domainToASCII(host)}"`;
  if (!/^[a-z0-9._-]+$/.test(host)) return "has a character that no host has";
  const labels = host.split(".");
  if (labels.at(-1) === "") labels.pop(); // one trailing dot names the root
  if (labels.some((label) => label === "")) return "has an empty label in its host";
  if (labels.some((label) => label.length > 63)) return "has a label of more than 63 characters";
  if (host.length + (subdomains ? 2 : 0) > 253) return "has a host of more than 253 characters";
  if (/^[0-9]/.test(labels.at(-1)!)) {
    if (!process.getBuiltinModule("node:net").isIPv4(host))
      return "has a host that ends like an IPv4 address but is none (four decimal numbers)";
    if (subdomains) return "cannot have subdomains of an IP address";
  }
  if (labels.some((label) => label.startsWith("xn--")) && domainToASCII(host.replace(/\.$/, "")) === "") {
    return "has a label that is not valid Punycode";
  }
  return undefined;
}

function ipv6Problem(host: string, subdomains: boolean): string | undefined {
  if (subdomains) return "cannot have subdomains of an IP address";
  const address = host.slice(1, -1);
  if (!process.getBuiltinModule("node:net").isIPv6(address) || address.includes("%"))
    return "has no valid IPv6 address in its brackets";
  const canonical = new URL(`http://${host}`).hostname;
  if (canonical.startsWith("[::ffff:")) return "is an IPv4 address in IPv6 form; write the IPv4 address";
  return canonical === host ? undefined : `must be the address as browsers send it: "${canonical}"`;
}

function portProblem(scheme: string, port: string | undefined): string | undefined {
  if (port === undefined || port === "*") return undefined;
  if (!/^[1-9][0-9]{0,4}$/.test(port) || Number(port) > 65_535)
    return "must have a port from 1 to 65535, or * for any";
  if (DEFAULT_PORTS[scheme] === port) return `must leave out the port ${port}: browsers do for ${scheme}`;
  return undefined;
}

/** Whether plain http is as good as secure there: loopback never leaves the machine. */
export function isLoopback({ host }: OriginPattern): boolean {
  return (
    host === "localhost" ||
    host.endsWith(".localhost") ||
    host === "[::1]" ||
    (process.getBuiltinModule("node:net").isIPv4(host) && host.startsWith("127."))
  );
}
