import { isHeaderValue } from "../lib/http/tokens.js";
import { peek } from "../lib/values/thrown.js";
import { isClientError } from "./status.js";

/** What an error may say to the client in its `headers`: how to do better, nothing else. */
const FROM_THE_ERROR = ["WWW-Authenticate", "Retry-After", "Allow"] as const;

/** And what the standard asks for, or has a use for, with one status alone (RFC 9110, sections 15.5 and 15.6). */
const BY_STATUS: Readonly<Record<number, readonly string[]>> = {
  407: ["Proxy-Authenticate"],
  415: ["Accept", "Accept-Encoding", "Accept-Patch", "Accept-Post"],
  416: ["Content-Range"],
  426: ["Upgrade"],
};

/** The headers that the error brings (`http-errors` and others put them there), as far as they may be sent. */
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
