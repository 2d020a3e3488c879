import { hrefOf, isLoopback, urlOf } from "../lib/http/target.js";

/** What is wrong with the URL of a key set. */
export interface UrlFault {
  readonly reason: string;
  /** It is a URL, and one that may be printed without its query. */
  readonly unsafe?: string;
}

/** The address of a key set, without a fragment; or what is wrong with it. */
export function faultOfUrl(given: unknown, allowInsecure: boolean): string | UrlFault {
  const text = hrefOf(given);
  const url = text === undefined ? undefined : urlOf(text);
  if (url === undefined) {
    return { reason: "must be the URL of a key set: https://issuer.example/.well-known/jwks.json" };
  }
  if (url.username !== "" || url.password !== "") {
    return { reason: "must have no user name and no password in it: fetch refuses them" };
  }
  if (url.protocol !== "https:" && !(url.protocol === "http:" && (allowInsecure || isLoopback(url)))) {
    const reason =
      "must be an https: URL (http: on loopback, or with allowInsecure: true): who can change the keys can sign";
    return { reason, unsafe: withoutSecrets(url.href) };
  }
  url.hash = "";
  return url.href;
}

/** A key set's URL as it may be printed: some issuers give each client a query of its own. */
export function withoutSecrets(url: string): string {
  const { origin, protocol, pathname } = new URL(url);
  return origin === "null" ? protocol : `${origin}${pathname}`;
}
