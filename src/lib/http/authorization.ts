import type { IncomingMessage } from "node:http";
import { isToken } from "./tokens.js";

/** The Authorization field, read; the scheme in lower case. */
export type Authorization =
  | { readonly kind: "none" }
  /** More than one field, or none that a scheme's name begins. */
  | { readonly kind: "malformed" }
  | { readonly kind: "sent"; readonly scheme: string; readonly rest: string };

const NONE: Authorization = { kind: "none" };
const MALFORMED: Authorization = { kind: "malformed" };
const SPACE = 0x20;

/** RFC 9110, section 11.4: the scheme's name, one space or more, the rest. */
export function readAuthorization(req: IncomingMessage): Authorization {
  const value = req.headers.authorization;
  if (value === undefined) return NONE;
  if (fieldCount(req, "authorization") > 1) return MALFORMED;
  const space = value.indexOf(" ");
  const end = space === -1 ? value.length : space;
  const scheme = value.slice(0, end);
  if (!isToken(scheme)) return MALFORMED;
  let start = end;
  while (value.charCodeAt(start) === SPACE) start++;
  return { kind: "sent", scheme: scheme.toLowerCase(), rest: value.slice(start) };
}

/** How often a field was sent: Node keeps only the first Authorization, and joins other fields with commas. */
export function fieldCount({ rawHeaders }: IncomingMessage, name: string): number {
  let count = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const sent = rawHeaders[i]!;
    if (sent.length === name.length && sent.toLowerCase() === name) count++;
  }
  return count;
}

// RFC 6750, section 2.1: b64token.
const B64TOKEN = /^[A-Za-z0-9\-._~+/]+=*$/;

export function isBearerToken(text: string): boolean {
  return B64TOKEN.test(text);
}
