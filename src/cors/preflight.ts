import type { ServerResponse } from "node:http";
import type { Request, Response } from "express";
import { show } from "../lib/config/config-error.js";
import { isToken, tokenList } from "../lib/http/tokens.js";
import { addVary } from "../lib/http/vary.js";
import { stateOf } from "../lib/request/state.js";
import { send } from "../lib/response/send.js";
import { FILE_ORIGIN, isOrigin } from "./matcher.js";
import type { CorsPlan } from "./options.js";
import type { OriginRule } from "./origins.js";
import { OPEN, type PreflightPolicy } from "./policy.js";

/** Answers a preflight; with `shortCircuit: "all"` also other OPTIONS requests, as preflights that ask for no header. */
export function answerOptions(
  plan: CorsPlan,
  allowed: string | undefined,
  preflight: boolean,
  req: Request,
  res: Response,
): void {
  const { headers } = req;
  if (allowed === undefined) {
    addVary(res, plan.optionsVary);
    if (!preflight) send(req, res, plan.status, undefined, "");
    else refuse("origin", req, res, plan.explain ? explainOrigin(headers.origin!, plan) : undefined);
    return;
  }
  const decision = preflight
    ? decidePreflight(
        plan.preflight,
        headers["access-control-request-method"]!,
        headers["access-control-request-headers"],
      )
    : decidePreflight(plan.preflight, "GET", undefined);
  if (!decision.allowed) {
    addVary(res, plan.optionsVary);
    refuse(decision.part, req, res, plan.explain ? explainRefusal(decision, plan.preflight) : undefined);
    return;
  }
  allow(plan, allowed, res);
  if (decision.methods !== "") res.setHeader("Access-Control-Allow-Methods", decision.methods);
  if (decision.headers !== "") res.setHeader("Access-Control-Allow-Headers", decision.headers);
  if (plan.maxAge !== undefined) res.setHeader("Access-Control-Max-Age", plan.maxAge);
  addVary(res, plan.optionsVary);
  send(req, res, plan.status, undefined, "");
}

function refuse(
  reason: "origin" | "method" | "header",
  req: Request,
  res: Response,
  why: string | undefined,
): void {
  stateOf(req).refused = { by: "cors", reason };
  if (why === undefined) send(req, res, 403, undefined, "");
  else {
    res.setHeader("X-Content-Type-Options", "nosniff");
    send(req, res, 403, "text/plain; charset=utf-8", `CORS preflight refused: ${why}.\n`);
  }
}

export function allow({ credentials, exposed }: CorsPlan, origin: string, res: ServerResponse): void {
  res.setHeader("Access-Control-Allow-Origin", origin);
  if (credentials) res.setHeader("Access-Control-Allow-Credentials", "true");
  if (exposed !== undefined) res.setHeader("Access-Control-Expose-Headers", exposed);
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

/** Why a preflight's origin was refused, for the developer who reads the response in the browser. */
function explainOrigin(
  origin: string,
  { origins, credentials }: { readonly origins: OriginRule; readonly credentials: boolean },
): string {
  if (credentials && origin === FILE_ORIGIN) return `the origin "${origin}" is refused with credentials`;
  return `the origin ${show(origin)} ${originReason(origin, origins.kind)}`;
}

/** Why a preflight's method or header was refused. */
function explainRefusal({ part, value, cause }: Refusal, policy: PreflightPolicy): string {
  return `the ${part} ${show(value)} ${refusalReason(part, cause, policy)}`;
}

function originReason(origin: string, kind: OriginRule["kind"]): string {
  if (origin === "null") return "is refused unless allowNull is true";
  if (!isOrigin(origin)) return "is not one origin as browsers send it";
  switch (kind) {
    case "none":
      return "is refused, as all origins are: the option origin is false";
    case "function":
      return "is refused by the function in the option origin, which did not return true";
    default:
      return "matches nothing in the option origin";
  }
}

function refusalReason(
  part: Refusal["part"],
  cause: Refusal["cause"],
  { methods, headers }: PreflightPolicy,
): string {
  if (cause === "too long") return `is over ${MAX_REQUESTED_BYTES} bytes: list the headers in allowedHeaders`;
  if (part === "method") {
    return cause === "malformed" ? "is not one method" : `is not in the option methods (${namesOf(methods)})`;
  }
  return cause === "malformed"
    ? "is not a list of header names"
    : `is not in the option allowedHeaders (${namesOf(headers)})`;
}

function namesOf(names: Iterable<string>): string {
  return [...names].join(", ") || "none";
}
