import { isLoopback, parseOriginPattern } from "./origin.js";

/** A RegExp that takes the one name and the other in the same place would take any. */
const STRANGERS = ["nobody", "stranger"] as const;
const TOP_DOMAINS = ["example", "com", "org", "net", "io", "dev", "app"];

/** Plain http can be read on the way within a private network, too. */
const PRIVATE_ADDRESSES = ["10.0.0.1", "172.16.0.1", "192.168.0.1", "192.168.1.1"];

/**
 * Whether a RegExp lets in with credentials what a string may not: plain http, or sites of strangers. What a RegExp
 * matches cannot be listed, so it is tried on a few origins, some made of the names that stand in it: one that passes
 * is not proved sound, one that fails is proved loose.
 */
export function regExpCredentialsProblem(pattern: RegExp, allowInsecure: boolean): string | undefined {
  const named = namesIn(pattern);
  const insecure = allowInsecure ? undefined : insecureMatch(pattern, named);
  if (insecure !== undefined) {
    return `matches "${insecure}", which is not secure: with credentials anyone on the way could read them; begin it with ^https:, or write allowInsecureOrigins: true`;
  }
  const strangers = strangersMatch(pattern, named);
  if (strangers === undefined) return undefined;
  return `would let sites of others in with credentials, "${strangers[0]}" and "${strangers[1]}" for two; let it match a domain of your own and its subdomains only`;
}

function insecureMatch(pattern: RegExp, named: readonly string[]): string | undefined {
  const strangers = TOP_DOMAINS.map((top) => `${STRANGERS[0]}.${top}`);
  return [...strangers, ...PRIVATE_ADDRESSES, ...named]
    .flatMap((host) => [host, `www.${host}`])
    .flatMap((host) => [`http://${host}`, `http://${host}:8080`])
    .find((origin) => {
      const parsed = parseOriginPattern(origin);
      return typeof parsed !== "string" && !isLoopback(parsed) && pattern.test(origin);
    });
}

/** The origins of two sites that have nothing to do with each other. */
function strangersMatch(pattern: RegExp, named: readonly string[]): readonly [string, string] | undefined {
  const hosts = named.map((name) => name.replace(/:.*/, ""));
  const under = ["", "www.", ...hosts.map((host) => `${host}.`)];
  const pairs = [
    ...TOP_DOMAINS.flatMap((top) => under.map((start) => STRANGERS.map((name) => `${start}${name}.${top}`))),
    ...hosts.flatMap(lookalikes),
  ];
  for (const [one, other] of pairs) {
    for (const scheme of ["https", "http"]) {
      const origins = [`${scheme}://${one}`, `${scheme}://${other}`] as const;
      if (origins.every((origin) => pattern.test(origin))) return origins;
    }
  }
  return undefined;
}

/** Pairs that others can register, and that match where a dot is missing (`.*example\.com`) or is not escaped. */
function lookalikes(host: string): string[][] {
  const labels = host.split(".").length;
  if (labels === 1) return [];
  if (labels === 2) return ["", "-"].map((join) => STRANGERS.map((name) => name + join + host));
  return [["x", "0"].map((char) => host.replace(/\.(?=[^.]+\.[^.]+$)/, char))];
}

/** What stands there in plain letters and could be a host: `example.com` of `/^https:\/\/.*example\.com$/`. */
function namesIn({ source }: RegExp): string[] {
  const plain = source
    .toLowerCase()
    .replace(/\\(.)/g, (_escape, char: string) => (/[./:-]/.test(char) ? char : " "));
  return [...new Set(plain.match(/[a-z0-9][a-z0-9-]*(?:\.[a-z0-9-]+)*(?::[0-9]+)?/g))];
}
