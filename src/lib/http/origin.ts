import { domainToASCII } from "node:url";
import { mappedIPv4 } from "./host.js";
import { urlOf } from "./target.js";

/** A configured origin, or a pattern of hosts or ports. */
export interface OriginPattern {
  readonly scheme: string;
  /** Without `*.`; IPv6 with brackets; `"*"` for every extension of the scheme; empty for `file://`. */
  readonly host: string;
  /** Whether the pattern has `*.` before the host: one or more labels. */
  readonly subdomains: boolean;
  /** Undefined: the default port of the scheme. `"*"`: any port, or none. */
  readonly port: string | undefined;
}

/** Scheme (64), `://`, host (253), port (6). */
export const MAX_ORIGIN_LENGTH = 326;

/**
 * Reads a configured origin or pattern. If the result is a string, it is the problem, with a remedy.
 *
 * @param refuse a further check, for the options that the pattern is used with
 */
export function parseOriginPattern(
  text: string,
  refuse: (pattern: OriginPattern) => string | undefined = () => undefined,
): OriginPattern | string {
  const problemOf = (entry: string) => {
    const pattern = readPattern(entry);
    return typeof pattern === "string" ? pattern : refuse(pattern);
  };
  const pattern = readPattern(text);
  if (typeof pattern === "string") return pattern + originRemedy(text, problemOf);
  return refuse(pattern) ?? pattern;
}

function readPattern(text: string): OriginPattern | string {
  if (text === "file://") return { scheme: "file", host: "", subdomains: false, port: undefined };
  if (text === "null") return "is not one origin: pages of many sites have it";
  if (text !== text.trim()) return "must not begin or end with white space";
  if (isSeveral(text)) return "must be one origin";
  const parts = /^([^:/?#]*):\/\/(.*)$/.exec(text);
  if (parts === null) return "must begin with a scheme";
  const [, scheme, rest] = parts as unknown as [string, string, string];
  return schemeProblem(scheme) ?? parseAuthority(scheme, rest);
}

function schemeProblem(scheme: string): string | undefined {
  if (scheme !== scheme.toLowerCase()) return "must be in lower case, as browsers send it";
  if (!/^[a-z][a-z0-9+.-]{0,63}$/.test(scheme)) return `has no valid scheme ("${scheme}")`;
  if (scheme === "file") return "has the scheme file, whose pages have no origin but file://";
  return undefined;
}

function parseAuthority(scheme: string, rest: string): OriginPattern | string {
  if (/[/?#\\]/.test(rest)) return "must be an origin, without path, query or trailing slash";
  if (rest.includes("@")) return "must not have a user name or password";
  const parts = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/.exec(rest);
  if (parts === null) return "has no valid host and port";
  const [, written, port] = parts as unknown as [string, string, string | undefined];
  if (written === "*" && port === undefined && isExtensionScheme(scheme)) {
    return { scheme, host: "*", subdomains: false, port };
  }
  const subdomains = written.startsWith("*.");
  const host = subdomains ? written.slice(2) : written;
  const problem = hostProblem(scheme, host, subdomains) ?? portProblem(scheme, port);
  return problem ?? { scheme, host, subdomains, port };
}

function hostProblem(scheme: string, host: string, subdomains: boolean): string | undefined {
  if (host === "") return "has no host";
  if (host.includes("*")) {
    return 'may have a * only as the whole first label ("https://*.example.com"), as the port ("http://localhost:*"), or as an extension\'s id ("moz-extension://*")';
  }
  if (host.startsWith("[")) return ipv6Problem(host, subdomains);
  if (hasLowerCaseHosts(scheme) && /[A-Z]/.test(host)) return "must be in lower case, as browsers send it";
  if (/[^\x20-\x7e]/.test(host)) return "must be in Punycode, as browsers send it";
  if (!/^[\w.-]+$/.test(host)) return "has a character that no host has";
  const labels = host.split(".");
  if (labels.at(-1) === "") labels.pop(); // a trailing dot is allowed: the root of DNS
  if (labels.some((label) => label === "")) return "has an empty label in its host";
  if (labels.some((label) => label.length > 63)) return "has a label of more than 63 characters";
  if (host.length + (subdomains ? 2 : 0) > 253) return "has a host of more than 253 characters";
  return isWebScheme(scheme) ? webHostProblem(host, labels, subdomains) : undefined;
}

function webHostProblem(host: string, labels: readonly string[], subdomains: boolean): string | undefined {
  // URL Standard, "ends in a number": only then do browsers read a host as an IPv4 address.
  if (/^(?:[0-9]+|0x[0-9a-f]*)$/.test(labels.at(-1)!)) {
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
  if (canonical.startsWith("[::ffff:")) return "is an IPv4 address in IPv6 form";
  return canonical === host ? undefined : `must be the address as browsers send it, "${canonical}"`;
}

function portProblem(scheme: string, port: string | undefined): string | undefined {
  if (port === undefined || port === "*") return undefined;
  if (!/^[1-9][0-9]{0,4}$/.test(port) || Number(port) > 65_535)
    return "must have a port from 1 to 65535, or * for any";
  if (DEFAULT_PORTS[scheme] === port) return `must leave out the port ${port}, as browsers do for ${scheme}`;
  return undefined;
}

/** Whether the host is loopback, where http: is secure: the traffic never leaves the machine. */
export function isLoopback({ host }: OriginPattern): boolean {
  return (
    host === "localhost" ||
    host.endsWith(".localhost") ||
    host === "[::1]" ||
    (process.getBuiltinModule("node:net").isIPv4(host) && host.startsWith("127."))
  );
}

/** The web schemes, whose hosts are domains or IP addresses in lower case. */
export const DEFAULT_PORTS: Readonly<Record<string, string>> = {
  http: "80",
  https: "443",
  ws: "80",
  wss: "443",
};

/** Whether hosts are domains or IP addresses; in other schemes (`capacitor:`, extensions) they can be any name. */
export function isWebScheme(scheme: string): boolean {
  return Object.hasOwn(DEFAULT_PORTS, scheme);
}

/** Hosts of Safari's extensions and of web views keep their case. */
export function hasLowerCaseHosts(scheme: string): boolean {
  return isWebScheme(scheme) || scheme === "chrome-extension" || scheme === "moz-extension";
}

/** `chrome-extension`, `moz-extension`, `safari-web-extension`. */
export function isExtensionScheme(scheme: string): boolean {
  return /(?:^|-)extension$/.test(scheme);
}

/** The problem of an entry; undefined if it is accepted. */
export type EntryCheck = (entry: string) => string | undefined;

/** Whether the text is several origins with commas or spaces between them. */
export function isSeveral(text: string): boolean {
  if (/[,;]/.test(text)) return true;
  const parts = partsOf(text);
  const whole = parts.filter((part) => part.includes("://")).length;
  return parts.length > 1 && (whole === 0 || whole === parts.length);
}

/** The end of a message: what to write instead of a refused entry. Empty if there is nothing to propose. */
export function originRemedy(text: string, problemOf: EntryCheck): string {
  if (isSeveral(text)) {
    const list = partsOf(text).map((part) => accepted(part, problemOf));
    const written = list.includes(undefined) ? EXAMPLES : list;
    return `; write a list for several: [${written.map((one) => JSON.stringify(one)).join(", ")}]`;
  }
  const one = accepted(text.trim(), problemOf);
  if (one !== undefined) return `; write ${JSON.stringify(one)}`;
  return text.includes("://") ? "" : `, such as "${EXAMPLES[0]}"`;
}

const EXAMPLES = ["https://app.example", "https://admin.example"];

function partsOf(text: string): string[] {
  return text.split(/[\s,;]+/).filter((part) => part !== "");
}

function accepted(text: string, problemOf: EntryCheck): string | undefined {
  if (problemOf(text) === undefined) return text;
  const repaired = repair(text);
  return repaired === undefined || problemOf(repaired) !== undefined ? undefined : repaired;
}

/** The origin that was probably meant; the caller checks it. */
function repair(written: string): string | undefined {
  const text = written.replace(/^(["'`])(.*)\1$/, "$2");
  const whole = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/i.exec(text) ?? /^(https?):\/?(?!\/)(.*)$/i.exec(text);
  if (whole === null && text.includes("://")) return undefined;
  const rest = (whole === null ? text.replace(/^\/*/, "") : whole[2]!)
    .replace(/[/?#\\].*$/, "")
    .replace(/^.*@/, "");
  const scheme = whole === null ? likelyScheme(rest) : whole[1]!.toLowerCase();
  if (scheme === "file") return "file://";
  if (!isWebScheme(scheme)) {
    return `${scheme}://${hasLowerCaseHosts(scheme) ? rest.toLowerCase() : rest}`;
  }
  const [, stars, name, anyPort] = /^(\*?\.)?(.*?)(:\*)?$/.exec(rest) as unknown as [
    string,
    string?,
    string?,
    string?,
  ];
  const url = urlOf(`${scheme}://${name}`);
  if (name === "" || url === undefined) return undefined;
  const { hostname, port } = url;
  const host = mappedIPv4(hostname) ?? hostname;
  return `${scheme}://${stars === undefined ? "" : "*."}${host}${anyPort ?? (port && `:${port}`)}`;
}

function likelyScheme(rest: string): string {
  return /^(?:[\w.-]+\.)?localhost(?::|$)|^127(?:\.[0-9]+){3}(?::|$)|^\[::1\]/i.test(rest) ? "http" : "https";
}
