import { hrefOf, isLoopback, urlOf } from "../lib/http/target.js";

/** What is wrong with the URL of a key set. */
export interface UrlFault {
  readonly reason: string;
  /** The URL without its query, if it is insecure. */
  readonly unsafe?: string;
}

/** The URL of a key set, without its fragment; or what is wrong with it. */
export function checkUrl(given: unknown, allowInsecure: boolean): string | UrlFault {
  const text = hrefOf(given);
  const url = text === undefined ? undefined : urlOf(text);
  if (url === undefined) {
    return { reason: "must be the URL of a key set: https://issuer.example/.well-known/jwks.json" };
  }
  if (url.username !== "" || url.password !== "") {
    return { reason: "must have no user name and password: fetch refuses them" };
  }
  if (url.protocol !== "https:" && !(url.protocol === "http:" && (allowInsecure || isLoopback(url)))) {
    const reason =
      "must be an https: URL (http: on loopback, or with allowInsecure: true): anyone who can change the keys can sign";
    return { reason, unsafe: withoutSecrets(url.href) };
  }
  url.hash = "";
  return url.href;
}

/** The URL without its query, which may hold a client's secret. */
export function withoutSecrets(url: string): string {
  const { origin, protocol, pathname } = new URL(url);
  return origin === "null" ? protocol : `${origin}${pathname}`;
}
