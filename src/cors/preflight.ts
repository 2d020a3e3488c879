import { isToken, tokenList } from "../http/tokens.js";

/** What a preflight may ask for, compiled. */
export interface PreflightPolicy {
  /** `"*"`: every method. */
  readonly methods: ReadonlySet<string> | "*";
  /** The value of Access-Control-Allow-Methods; undefined: the one that is asked for. */
  readonly allowMethods: string | undefined;
  /** Lower case; `"*"`: every header; `"asked"`: those that are asked for, within bounds. */
  readonly headers: ReadonlySet<string> | "*" | "asked";
  /** The value of Access-Control-Allow-Headers; undefined: what is asked for. */
  readonly allowHeaders: string | undefined;
}

export type PreflightDecision =
  | { readonly allowed: true; readonly methods: string; readonly headers: string | undefined }
  | {
      readonly allowed: false;
      readonly part: "method" | "header";
      readonly value: string;
      readonly reason: string;
    };

/** Never need a preflight's leave (Fetch, section 4.8: CORS-preflight fetch, step 7: CORS-safelisted method). */
const SAFELISTED_METHODS = new Set(["GET", "HEAD", "POST"]);

/** Bytes of requested header names that are sent back at most, where the app names none itself. */
export const MAX_ASKED_BYTES = 1_024;
const MAX_NAMES = 256;

/** The documented open recipe: whatever is asked is answered with these. */
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
): PreflightDecision {
  if (policy === OPEN) return { allowed: true, methods: OPEN.allowMethods!, headers: openHeaders(headers) };
  if (!isToken(method)) return refuse("method", method, "is not a method");
  if (policy.methods !== "*" && !policy.methods.has(method) && !SAFELISTED_METHODS.has(method)) {
    return refuse("method", method, `is not one of ${[...policy.methods].join(", ")}`);
  }
  const names = headers === undefined ? [] : tokenList(headers, { elements: MAX_NAMES });
  if (names === undefined) return refuse("header", headers!, "is not a list of header names");
  const fault = headerFault(policy, names, headers);
  if (fault !== undefined) return fault;
  const { allowMethods = method, allowHeaders = headersOf(names) } = policy;
  return {
    allowed: true,
    methods: allowMethods,
    headers: policy.headers === "*" && allowHeaders === "*" ? openHeaders(headers) : allowHeaders,
  };
}

function headersOf(names: readonly string[]): string | undefined {
  return names.length === 0 ? undefined : names.join(", ");
}

/** A `*` covers every header but Authorization, which must be named (Fetch, section 4.8, step 7). */
function openHeaders(asked: string | undefined): string {
  return asked !== undefined && /(?:^|[, \t])authorization(?:$|[, \t])/i.test(asked)
    ? "*, Authorization"
    : "*";
}

function headerFault(
  { headers: allowed }: PreflightPolicy,
  names: readonly string[],
  headers: string | undefined,
): PreflightDecision | undefined {
  if (allowed === "*") return undefined;
  if (allowed === "asked") {
    if (headers === undefined || headers.length <= MAX_ASKED_BYTES) return undefined;
    return refuse("header", headers, `is longer than ${MAX_ASKED_BYTES} bytes`);
  }
  const unknown = names.find((name) => !allowed.has(name.toLowerCase()));
  if (unknown === undefined) return undefined;
  return refuse("header", unknown, `is not one of ${[...allowed].join(", ") || "none"}`);
}

function refuse(part: "method" | "header", value: string, reason: string): PreflightDecision {
  return { allowed: false, part, value, reason };
}
