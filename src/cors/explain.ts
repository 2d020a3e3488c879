import { show } from "../lib/config/config-error.js";
import { FILE_ORIGIN, isOrigin } from "./matcher.js";
import type { OriginRule } from "./origins.js";
import { MAX_REQUESTED_BYTES, type PreflightPolicy, type Refusal } from "./preflight.js";

/** Why a preflight's origin was refused, for the developer who reads the response in the browser. */
export function explainOrigin(
  origin: string,
  { origins, credentials }: { readonly origins: OriginRule; readonly credentials: boolean },
): string {
  if (credentials && origin === FILE_ORIGIN) return `the origin "${origin}" is refused with credentials`;
  return `the origin ${show(origin)} ${originReason(origin, origins.kind)}`;
}

/** Why a preflight's method or header was refused. */
export function explainRefusal({ part, value, cause }: Refusal, policy: PreflightPolicy): string {
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
