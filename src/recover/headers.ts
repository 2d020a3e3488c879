import { isHeaderValue } from "../lib/http/tokens.js";
import { peek } from "../lib/values/thrown.js";
import { isClientError } from "./status.js";

/** Headers taken from an error of any status: they tell the client how to do better. */
const FROM_THE_ERROR = ["WWW-Authenticate", "Retry-After", "Allow"] as const;

/** Headers that the standard defines for one status only (RFC 9110, sections 15.5 and 15.6). */
const BY_STATUS: Readonly<Record<number, readonly string[]>> = {
  407: ["Proxy-Authenticate"],
  415: ["Accept", "Accept-Encoding", "Accept-Patch", "Accept-Post"],
  416: ["Content-Range"],
  426: ["Upgrade"],
};

/** The headers that an error has (`http-errors` sets them) and that may be sent. */
export function headersOf(error: unknown, status: number): [string, string | string[]][] {
  if (typeof error !== "object" || error === null || isClientError(error)) return [];
  const headers = peek(error, "headers");
  if (typeof headers !== "object" || headers === null) return [];
  return [...FROM_THE_ERROR, ...(BY_STATUS[status] ?? [])].flatMap((name): [string, string | string[]][] => {
    const value = sendable(peek(headers, name) ?? peek(headers, name.toLowerCase()));
    return value === undefined ? [] : [[name, value]];
  });
}

function sendable(value: unknown): string | string[] | undefined {
  if (typeof value === "number") return Number.isFinite(value) ? String(value) : undefined;
  if (typeof value === "string") return value !== "" && isHeaderValue(value) ? value : undefined;
  if (!Array.isArray(value) || value.length === 0) return undefined;
  return value.every((one) => typeof one === "string" && isHeaderValue(one))
    ? [...(value as string[])]
    : undefined;
}
