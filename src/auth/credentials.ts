import type { IncomingMessage } from "node:http";

/** The Authorization field, read; the scheme in lower case. */
export type Authorization =
  | { readonly kind: "none" }
  /** More than one field, or none that a scheme's name begins. */
  | { readonly kind: "malformed" }
  | { readonly kind: "sent"; readonly scheme: string; readonly rest: string };

const NONE: Authorization = { kind: "none" };
const MALFORMED: Authorization = { kind: "malformed" };

// RFC 9110, section 11.4: the scheme's name, one space or more, the rest.
const AUTHORIZATION = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+)(?: +(.*))?$/;

export function readAuthorization(req: IncomingMessage): Authorization {
  const value = req.headers.authorization;
  if (value === undefined) return NONE;
  if (fieldCount(req, "authorization") > 1) return MALFORMED;
  const parts = AUTHORIZATION.exec(value);
  if (parts === null) return MALFORMED;
  return { kind: "sent", scheme: parts[1]!.toLowerCase(), rest: parts[2] ?? "" };
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

export interface UserPass {
  readonly user: string;
  readonly password: string;
}

let utf8: InstanceType<typeof TextDecoder> | undefined;

/** Basic's credentials (RFC 7617, section 2); undefined if they are not well-formed. */
export function readUserPass(encoded: string): UserPass | undefined {
  const bytes = Buffer.from(encoded, "base64");
  // Node decodes whatever it can: what it took for base64 must be all there was.
  if (encoded === "" || bytes.toString("base64").replace(/=+$/, "") !== encoded.replace(/=+$/, ""))
    return undefined;
  if (!/^[^=]*={0,2}$/.test(encoded)) return undefined;
  let text: string;
  try {
    utf8 ??= new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    text = utf8.decode(bytes);
  } catch {
    return undefined;
  }
  const colon = text.indexOf(":");
  if (colon === -1 || /[\x00-\x1f\x7f]/.test(text)) return undefined;
  return { user: text.slice(0, colon), password: text.slice(colon + 1) };
}
