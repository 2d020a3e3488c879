import type { IncomingMessage, ServerResponse } from "node:http";
import { loggedTarget, type RequestLogEntry } from "./entry.js";
import { escapeValue, escapeWord, shorten } from "./escape.js";
import { redactHeader, type SecretNames } from "./redact.js";

export interface TokenContext {
  readonly entry: RequestLogEntry;
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly secrets: SecretNames;
}

/** A token's escaped text; if it is empty or undefined, the line has `-`. */
export type Token = (context: TokenContext) => string | undefined;

interface BuiltIn {
  readonly value: (context: TokenContext, argument: string | undefined) => string | undefined;
  readonly escape: (value: string | undefined) => string | undefined;
  /** Returns the problem of the argument. */
  readonly check?: (argument: string | undefined) => string | undefined;
}

const quoted = (value: string | undefined) => (value === undefined ? undefined : escapeValue(value));
const word = (value: string | undefined) => (value === undefined ? undefined : escapeWord(value));

const digitsBetween = (argument: string | undefined) =>
  argument === undefined || /^(?:\d{1,2}|100)$/.test(argument)
    ? undefined
    : `has a time with "[${argument}]"; the argument is a number of digits, such as [3]`;
const headerName = (name: string) => (argument: string | undefined) =>
  argument === undefined ? `has :${name} without a header's name; write :${name}[content-length]` : undefined;
const DATES = ["clf", "iso", "web"];
const dateForm = (argument: string | undefined) =>
  argument === undefined || DATES.includes(argument)
    ? undefined
    : `has ":date[${argument}]"; a date is one of ${DATES.join(", ")}`;

/** morgan's built-in tokens, with values from the entry. */
export const BUILT_IN_TOKENS: Readonly<Record<string, BuiltIn>> = {
  method: { value: ({ entry }) => entry.method, escape: word },
  url: { value: ({ entry }) => loggedTarget(entry), escape: word },
  status: { value: statusOf, escape: quoted },
  "http-version": { value: ({ entry }) => entry.httpVersion, escape: word },
  "remote-addr": { value: ({ entry }) => entry.remoteAddress, escape: word },
  "remote-user": { value: ({ entry }) => entry.user?.toString(), escape: word },
  referrer: { value: ({ entry }) => entry.referrer, escape: quoted },
  "user-agent": { value: ({ entry }) => entry.userAgent, escape: quoted },
  "response-time": {
    value: ({ entry }, digits) => entry.headersMs?.toFixed(Number(digits ?? 3)),
    escape: quoted,
    check: digitsBetween,
  },
  "total-time": {
    value: ({ entry }, digits) =>
      entry.immediate ? undefined : entry.durationMs.toFixed(Number(digits ?? 3)),
    escape: quoted,
    check: digitsBetween,
  },
  date: { value: ({ entry }, form) => dateOf(entry.time, form), escape: quoted, check: dateForm },
  pid: { value: () => String(process.pid), escape: quoted },
  req: {
    value: ({ req, secrets }, name = "") => headerText(name, req.headers[name.toLowerCase()], secrets),
    escape: quoted,
    check: headerName("req"),
  },
  res: {
    value: ({ res, secrets }, name = "") =>
      res.headersSent ? headerText(name, res.getHeader(name), secrets) : undefined,
    escape: quoted,
    check: headerName("res"),
  },
};

function statusOf({ entry }: TokenContext): string | undefined {
  return entry.immediate ? undefined : String(entry.status);
}

function headerText(
  name: string,
  value: number | string | readonly string[] | undefined,
  secrets: SecretNames,
): string | undefined {
  if (value === undefined) return undefined;
  const text = Array.isArray(value) ? value.join(", ") : String(value);
  return shorten(redactHeader(name.toLowerCase(), text, secrets));
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

function dateOf(time: string, form = "web"): string {
  if (form === "iso") return time;
  if (form === "web") return new Date(time).toUTCString();
  const month = MONTHS[Number(time.slice(5, 7)) - 1];
  return `${time.slice(8, 10)}/${month}/${time.slice(0, 4)}:${time.slice(11, 19)} +0000`;
}
