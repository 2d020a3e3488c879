import { domainToASCII } from "node:url";
import type { Request } from "express";
import type { Checker, ForeignOptions } from "../lib/config/checker.js";
import { refuseRequest } from "../lib/config/not-called.js";
import { boolean, fn, readOptions, type SchemaOf } from "../lib/config/schema.js";
import { parseHost } from "../lib/http/host.js";
import { guardObserver } from "../lib/log/callback-faults.js";
import { inProduction } from "../lib/values/environment.js";
import type { AllowedHostsReason, HostList, Ports } from "./decide.js";

export interface AllowedHostsOptions {
  /** Called for each request that is refused. What it throws is reported once. @defaultValue none */
  readonly onReject?: ((reason: AllowedHostsReason, req: Request) => unknown) | undefined;
  /** Whether the answer says what is wrong with the host. @defaultValue `true`, but `false` in production */
  readonly explain?: boolean | undefined;
}

export const OPTIONS = () =>
  ({
    onReject: fn<(reason: AllowedHostsReason, req: Request) => unknown>("must be a function (reason, req)"),
    explain: boolean(!inProduction()),
  }) satisfies SchemaOf<AllowedHostsOptions>;

export function checkOptions(hosts: unknown, options: AllowedHostsOptions | undefined) {
  refuseRequest("allowedHosts()", hosts);
  const { checker, plan } = readOptions("allowedHosts()", OPTIONS, options, { foreign: FOREIGN });
  const list = checkHosts(checker, hosts);
  const onReject = guardObserver("allowedHosts: the option onReject", plan.onReject);
  return checker.done({ list, onReject, explain: plan.explain });
}

function checkHosts(checker: Checker, hosts: unknown): HostList {
  const names = new Map<string, Ports>();
  const suffixes = new Map<string, Ports>();
  if (hosts === undefined) {
    const reason =
      "is undefined: is an environment variable missing? Without hosts, every request would be refused";
    checker.add("hosts", reason, undefined, "ERR_PORTICO_UNDEFINED_OPTION");
    return { names, suffixes };
  }
  const given: unknown[] = Array.isArray(hosts) ? hosts : [hosts];
  if (given.length === 0) checker.add("hosts", "is an empty list: every request would be refused", hosts);
  for (const [i, entry] of given.entries()) {
    const read = readEntry(entry);
    if (typeof read === "string") {
      checker.add(Array.isArray(hosts) ? `hosts[${i}]` : "hosts", read, entry);
      continue;
    }
    const map = read.isPattern ? suffixes : names;
    const before = map.get(read.name);
    if (read.port === undefined || before === "any") map.set(read.name, "any");
    else map.set(read.name, new Set([...(before ?? []), read.port]));
  }
  return { names, suffixes };
}

interface Entry {
  readonly name: string;
  readonly port: number | undefined;
  readonly isPattern: boolean;
}

/** Returns the entry, or a string that says what is wrong and what to write instead. */
function readEntry(entry: unknown): Entry | string {
  if (typeof entry !== "string")
    return 'must be a host such as "api.example.com"; for subdomains write "*.example.com"';
  const text = entry.trim();
  if (text === "*") return "would allow every host; if you want that, leave allowedHosts out";
  if (/[,\s]/.test(text))
    return `must be one host; write a list for several: ${JSON.stringify(text.split(/[\s,]+/))}`;
  const isPattern = text.startsWith("*.");
  const host = isPattern ? text.slice(2) : text;
  const bare = host
    .replace(/^[a-z][a-z\d+.-]*:\/\//i, "")
    .replace(/[/?#].*$/, "")
    .replace(/^.*@/, "");
  const instead = (other: string) => `; write ${JSON.stringify((isPattern ? "*." : "") + other)}`;
  if (bare !== host)
    return `must be a host alone, without scheme, user or path${bare === "" ? "" : instead(bare)}`;
  if (/[^\x20-\x7e]/.test(host)) {
    const [, name, port] = /^(.*?)(:\d+)?$/.exec(host)!;
    const ascii = domainToASCII(name!);
    return `must be in Punycode, as browsers send it${ascii === "" ? "" : instead(ascii + (port ?? ""))}`;
  }
  if (host.includes("*"))
    return host.endsWith(":*")
      ? `must not have * as its port: leave the port out to allow all ports${instead(host.slice(0, -2))}`
      : 'may have * only in front, followed by a dot: "*.example.com"';
  if (process.getBuiltinModule("node:net").isIPv6(host))
    return `must have its address in brackets${instead(`[${host}]`)}`;
  const parsed = parseHost(host);
  if (parsed === undefined) return 'is not a valid host, such as "api.example.com" or "api.example.com:8443"';
  if (isPattern && (parsed.name.startsWith("[") || process.getBuiltinModule("node:net").isIPv4(parsed.name)))
    return 'must not have "*." before an IP address: an address has no subdomains';
  return { name: isPattern ? `.${parsed.name}` : parsed.name, port: parsed.port, isPattern };
}

/** Option names of other packages and what to write instead. */
export const FOREIGN: ForeignOptions = {
  "host-validation": {
    hosts: "the first argument has the hosts: allowedHosts(hosts)",
    referers: "there is none: csrf refuses what other sites send",
    fail: "the option render of requestContext() writes the answer, and the option onReject is called as well",
    mode: "there is none: the host is always checked",
  },
  mcp: { allowedHosts: "the first argument has the hosts: allowedHosts(hosts)" },
};
