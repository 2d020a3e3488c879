import type { IncomingMessage, ServerResponse } from "node:http";
import { REDACTED, type Redaction, redactHeader, secretNames } from "../../src/lib/log/redact.js";
import { peek } from "../../src/lib/values/thrown.js";
import { words } from "../../src/lib/values/words.js";
import type { HeaderHistory } from "./header-history.js";
import type { Detail, Header } from "./report.js";

/** Without a request log, what is hidden by default. */
export const DEFAULT_REDACTION: Redaction = { secrets: secretNames(), headers: [], redactPath: undefined };

const MAX_VALUE = 1_024;
const MAX_HEADERS = 100;

/** Request headers with values that identify nobody and open nothing. The values of all others are hidden. */
const SHOWN = new Set(
  words(
    "accept accept-charset accept-encoding accept-language accept-ranges access-control-request-headers",
    "access-control-request-method access-control-request-private-network cache-control connection content-encoding",
    "content-language content-length content-type date dnt downlink ect expect forwarded from host http2-settings",
    "if-match if-modified-since if-none-match if-range if-unmodified-since keep-alive last-event-id max-forwards",
    "origin pragma priority range referer rtt save-data sec-gpc sec-purpose sec-websocket-extensions",
    "sec-websocket-key sec-websocket-protocol sec-websocket-version te trailer transfer-encoding upgrade upgrade-insecure-requests",
    "user-agent via x-forwarded-for x-forwarded-host x-forwarded-port x-forwarded-proto x-request-id",
    "x-requested-with traceparent",
  ),
);
const SHOWN_PREFIX = /^sec-(?:fetch|ch)-/;
/** Response headers that may have a secret as value, beside those that are always hidden. */
const SECRET_NAME = /token|secret|api-?key|password|session|credential/;

type ShownHeaders = Detail["requestHeaders"];

/** The request's headers in the order in which they came. */
export function requestHeaders(req: IncomingMessage, redaction: Redaction): ShownHeaders {
  const shown: { name: string; value: string; hidden: boolean }[] = [];
  const { rawHeaders } = req;
  for (let i = 0; i + 1 < rawHeaders.length && shown.length < MAX_HEADERS; i += 2) {
    const name = rawHeaders[i]!;
    if (name.startsWith(":")) continue; // HTTP/2
    const value = requestValue(name.toLowerCase(), rawHeaders[i + 1]!, redaction);
    shown.push({ name: name.slice(0, 200), value, hidden: value === REDACTED });
  }
  return shown;
}

function requestValue(name: string, value: string, { secrets, headers }: Redaction): string {
  const isShown = SHOWN.has(name) || SHOWN_PREFIX.test(name) || headers.includes(name);
  return isShown ? cut(redactHeader(name, value, secrets)) : REDACTED;
}

/** The response's headers as they were sent, each with the calls that set it. */
export function responseHeaders(res: ServerResponse, history: HeaderHistory, redaction: Redaction): Header[] {
  return shownFields(sentHeaders(res), redaction, (name) => history.setBy(name));
}

/** The headers of a head that was written directly to the connection, by one call. */
export function writtenHeaders(head: string, redaction: Redaction, setBy: number): Header[] {
  return shownFields(fieldsOf(head), redaction, () => [setBy]);
}

type Field = [name: string, value: string];

function shownFields(
  fields: Field[],
  { secrets }: Redaction,
  setBy: (name: string) => readonly number[],
): Header[] {
  return fields.slice(0, MAX_HEADERS).map(([name, value]) => ({
    name: name.slice(0, 200),
    value: SECRET_NAME.test(name.toLowerCase())
      ? REDACTED
      : cut(redactHeader(name.toLowerCase(), value, secrets)),
    setBy: setBy(name),
  }));
}

/** Headers that were only given to `writeHead`, and those of Node's own, are in the head alone. */
function sentHeaders(res: ServerResponse): Field[] {
  const head = peek(res, "_header");
  if (typeof head === "string") return fieldsOf(head);
  const sent = (peek(peek(res, "stream"), "sentHeaders") ?? res.getHeaders()) as Record<string, unknown>;
  return Object.entries(sent)
    .filter(([name]) => !name.startsWith(":"))
    .flatMap(([name, value]) =>
      (Array.isArray(value) ? value : [value]).map((one): Field => [name, String(one)]),
    );
}

function fieldsOf(head: string): Field[] {
  const lines = head.split("\r\n").slice(1).filter(Boolean);
  return lines.map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
}

export function cut(text: string): string {
  return text.length > MAX_VALUE ? `${text.slice(0, MAX_VALUE)}…` : text;
}
