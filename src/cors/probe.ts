import { isLoopback, parseOriginPattern } from "../lib/http/origin.js";

/** A RegExp that matches both names in the same place probably matches any name there. */
const FOREIGN_NAMES = ["nobody", "stranger"] as const;
const TOP_DOMAINS = ["example", "com", "org", "net", "io", "dev", "app"];

/** Plain http can be read in private networks too. */
const PRIVATE_ADDRESSES = ["10.0.0.1", "172.16.0.1", "192.168.0.1", "192.168.1.1"];

/** Two extensions each of Chromium, Firefox and Safari. */
const EXTENSIONS = [
  [
    "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
    "chrome-extension://ponmlkjihgfedcbaponmlkjihgfedcba",
  ],
  [
    "moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc",
    "moz-extension://0d9f6c41-1a2b-4c3d-8e4f-a0b1c2d3e4f5",
  ],
  [
    "safari-web-extension://2C127FA4-62C7-7E4F-90E5-472B45EECFDC",
    "safari-web-extension://0D9F6C41-1A2B-4C3D-8E4F-A0B1C2D3E4F5",
  ],
] as const;

/**
 * Whether a RegExp allows with credentials what a string must not allow: plain http, foreign sites, all extensions or all
 * files. The origins that it matches cannot be listed, so it is tested with a sample, partly made from the names in it.
 * That can prove it unsafe, but not safe.
 */
export function regExpCredentialsProblem(pattern: RegExp, allowInsecure: boolean): string | undefined {
  const named = namesIn(pattern);
  const insecure = allowInsecure ? undefined : insecureMatch(pattern, named);
  if (insecure !== undefined) {
    return `matches "${insecure}", which is not secure: anyone on the network path could read the credentials`;
  }
  const foreign = foreignMatch(pattern, named);
  if (foreign !== undefined) {
    return `would allow foreign sites with credentials, for example "${foreign[0]}" and "${foreign[1]}"`;
  }
  if (pattern.test("file://")) {
    return 'matches "file://", the origin of all files on all computers: with credentials it cannot be allowed';
  }
  const extensions = EXTENSIONS.find((pair) => pair.every((origin) => pattern.test(origin)));
  return extensions && `would allow every extension with credentials, for example "${extensions[0]}"`;
}

function insecureMatch(pattern: RegExp, named: readonly string[]): string | undefined {
  const foreign = TOP_DOMAINS.map((top) => `${FOREIGN_NAMES[0]}.${top}`);
  return [...foreign, ...PRIVATE_ADDRESSES, ...named]
    .flatMap((host) => [host, `www.${host}`])
    .flatMap((host) => [`http://${host}`, `http://${host}:8080`])
    .find((origin) => {
      const parsed = parseOriginPattern(origin);
      return typeof parsed !== "string" && !isLoopback(parsed) && pattern.test(origin);
    });
}

/** Origins of two unrelated sites that the RegExp matches. */
function foreignMatch(pattern: RegExp, named: readonly string[]): readonly [string, string] | undefined {
  const hosts = named.map((name) => name.replace(/:.*/, ""));
  const under = ["", "www.", ...hosts.map((host) => `${host}.`)];
  const pairs = [
    ...TOP_DOMAINS.flatMap((top) =>
      under.map((start) => FOREIGN_NAMES.map((name) => `${start}${name}.${top}`)),
    ),
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

/** Names that anyone can register, and that match if a dot is missing (`.*example\.com`) or not escaped. */
function lookalikes(host: string): string[][] {
  const labels = host.split(".").length;
  if (labels === 1) return [];
  if (labels === 2) return ["", "-"].map((join) => FOREIGN_NAMES.map((name) => name + join + host));
  return [["x", "0"].map((char) => host.replace(/\.(?=[^.]+\.[^.]+$)/, char))];
}

/** Literal text that could be a host: `example.com` in `/^https:\/\/.*example\.com$/`. */
export function namesIn({ source }: RegExp): string[] {
  const plain = source
    .toLowerCase()
    .replace(/\\(.)/g, (_escape, char: string) => (/[./:-]/.test(char) ? char : " "));
  return [...new Set(plain.match(/[a-z0-9][a-z0-9-]*(?:\.[a-z0-9-]+)*(?::[0-9]+)?/g))];
}
