/**
 * A URL as browsers should report it (CSP Level 3 section 5.4, "strip URL for use in reports"): without user name and
 * password, and without the fragment, which may hold a token. Other values ("inline", "data") are returned unchanged.
 */
export function stripUrl(url: string): string {
  const hash = url.indexOf("#");
  return withoutUserinfo(hash === -1 ? url : url.slice(0, hash));
}

/** A URL for a log, also without its query, which may hold a secret (links to sign in or to reset a password). */
export function urlForLog(url: string): string {
  // The content of a data: URL is removed too.
  const end = url.search(/^[a-z][a-z0-9+.-]*:\/\//i.test(url) ? /[?#]/ : /[:?#]/);
  return withoutUserinfo(end === -1 ? url : url.slice(0, end));
}

/** The scheme in lower case; some browsers report only the scheme, without a colon: `chrome-extension`. */
export function schemeOf(url: string): string {
  return /^[^:/?#]*/.exec(url)![0].toLowerCase();
}

/** The host in lower case and the path; undefined for other schemes than http and ws. */
export function placeOf(url: string): { readonly host: string; readonly path: string } | undefined {
  const match = /^(?:https?|wss?):\/\/([^/?#]*)([^?#]*)/i.exec(url);
  if (match === null) return undefined;
  const authority = match[1]!.slice(match[1]!.lastIndexOf("@") + 1);
  return { host: authority.replace(/:\d*$/, "").toLowerCase(), path: match[2]! };
}

function withoutUserinfo(url: string): string {
  const start = url.indexOf("//");
  if (start === -1) return url;
  const from = start + 2;
  const length = url.slice(from).search(/[/?#]/);
  const end = length === -1 ? url.length : from + length;
  const at = url.lastIndexOf("@", end - 1);
  return at < from ? url : url.slice(0, from) + url.slice(at + 1);
}
