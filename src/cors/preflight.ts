import { isToken, tokenList } from "../lib/http/tokens.js";

/** What preflights may ask for: the compiled options. */
export interface PreflightPolicy {
  /** `"*"`: all methods. */
  readonly methods: ReadonlySet<string> | "*";
  /** The value of Access-Control-Allow-Methods; empty: not sent; undefined: the requested method. */
  readonly allowMethods: string | undefined;
  /** In lower case; `"*"`: all headers; `"requested"`: the requested headers, within limits. */
  readonly headers: ReadonlySet<string> | "*" | "requested";
  /** The value of Access-Control-Allow-Headers; empty: not sent; undefined: the requested headers. */
  readonly allowHeaders: string | undefined;
}

/** The values of the headers to send; an empty one is not sent. */
export interface Permission {
  readonly allowed: true;
  readonly methods: string;
  readonly headers: string;
}

export interface Refusal {
  readonly allowed: false;
  readonly part: "method" | "header";
  /** The requested method or header. */
  readonly value: string;
  readonly cause: "unlisted" | "malformed" | "too long";
}

/** Allowed without being listed (Fetch, section 2.2.1: CORS-safelisted method). */
const SAFELISTED_METHODS = new Set(["GET", "HEAD", "POST"]);

/** The limit of requested header names that are sent back, if `allowedHeaders` is not given. */
export const MAX_REQUESTED_BYTES = 1_024;
const MAX_NAMES = 1_024;

/** The documented open recipe: the same answer to every preflight. */
export const OPEN: PreflightPolicy = {
  methods: "*",
  allowMethods: "GET, POST, OPTIONS, PUT, DELETE, HEAD, PATCH",
  headers: "*",
  allowHeaders: "*",
};

/** Whether a browser may send what its preflight asks for. */
export function decidePreflight(
  policy: PreflightPolicy,
  method: string,
  headers: string | undefined,
): Permission | Refusal {
  if (policy === OPEN) return { allowed: true, methods: OPEN.allowMethods!, headers: starFor(headers) };
  if (!isToken(method)) return refusal("method", method, "malformed");
  if (policy.methods !== "*" && !policy.methods.has(method) && !SAFELISTED_METHODS.has(method)) {
    return refusal("method", method, "unlisted");
  }
  const { allowMethods = method, allowHeaders } = policy;
  if (headers === undefined) return { allowed: true, methods: allowMethods, headers: allowHeaders ?? "" };
  if (policy.headers === "requested" && headers.length > MAX_REQUESTED_BYTES) {
    return refusal("header", headers, "too long");
  }
  const names = tokenList(headers, { elements: MAX_NAMES });
  if (names === undefined) return refusal("header", headers, "malformed");
  if (typeof policy.headers === "object") {
    const listed = policy.headers;
    const unlisted = names.find((name) => !listed.has(name.toLowerCase()));
    if (unlisted !== undefined) return refusal("header", unlisted, "unlisted");
  }
  return {
    allowed: true,
    methods: allowMethods,
    headers: allowHeaders === "*" ? starFor(headers) : (allowHeaders ?? names.join(",")),
  };
}

/** `*` does not cover Authorization, which must be named (Fetch, section 4.8, CORS-preflight fetch). */
function starFor(requested: string | undefined): string {
  return requested !== undefined && /(?:^|[, \t])authorization(?:$|[, \t])/i.test(requested)
    ? "*, Authorization"
    : "*";
}

function refusal(part: Refusal["part"], value: string, cause: Refusal["cause"]): Refusal {
  return { allowed: false, part, value, cause };
}
