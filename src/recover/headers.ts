import { isHeaderValue } from "../lib/http/tokens.js";
import { peek } from "../lib/values/thrown.js";
import { isHttpClientError } from "./status.js";

/** Headers taken from an error of any status: they tell the client how to do better. */
const ERROR_HEADERS = ["WWW-Authenticate", "Retry-After", "Allow"] as const;

/** Headers that the standard defines for one status only (RFC 9110, sections 15.5 and 15.6). */
const HEADERS_BY_STATUS: Readonly<Record<number, readonly string[]>> = {
  407: ["Proxy-Authenticate"],
  415: ["Accept", "Accept-Encoding", "Accept-Patch", "Accept-Post"],
  416: ["Content-Range"],
  426: ["Upgrade"],
};

/** The headers that an error has (`http-errors` sets them) and that may be sent. */
export function headersOfError(error: unknown, status: number): [string, string | string[]][] {
  if (typeof error !== "object" || error === null || isHttpClientError(error)) return [];
  const headers = peek(error, "headers");
  if (typeof headers !== "object" || headers === null) return [];
  return [...ERROR_HEADERS, ...(HEADERS_BY_STATUS[status] ?? [])].flatMap(
    (name): [string, string | string[]][] => {
      const value = validHeaderValue(peek(headers, name) ?? peek(headers, name.toLowerCase()));
      return value === undefined ? [] : [[name, value]];
    },
  );
}

function validHeaderValue(value: unknown): string | string[] | undefined {
  if (typeof value === "number") return Number.isFinite(value) ? String(value) : undefined;
  if (typeof value === "string") return value !== "" && isHeaderValue(value) ? value : undefined;
  if (!Array.isArray(value) || value.length === 0) return undefined;
  return value.every((one) => typeof one === "string" && isHeaderValue(one))
    ? [...(value as string[])]
    : undefined;
}
