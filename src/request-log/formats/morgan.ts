import type { IncomingMessage, ServerResponse } from "node:http";
import { didYouMean, suggestion } from "../../lib/config/did-you-mean.js";
import { isKnownMethod } from "../../lib/http/method.js";
import { redactHeader, type SecretNames } from "../../lib/log/redact.js";
import { peek } from "../../lib/values/thrown.js";
import { loggedTarget, type RequestLogEntry } from "../entry.js";
import { escapeLine, escapeValue, escapeWord, shorten } from "../escape.js";
import { loadMorgan, type Morgan, morganWith } from "./morgan-copies.js";

export type LineFormat = (
  entry: RequestLogEntry,
  req: IncomingMessage,
  res: ServerResponse,
) => string | undefined;

type MorganFormat = (tokens: unknown, req: IncomingMessage, res: ServerResponse) => unknown;

/** Why a format is refused. */
export interface FormatProblem {
  readonly problem: string;
}

const NOT_FORMATS = new Set(["name", "length", "prototype", "compile", "format", "token"]);
/** Our own formats, and those of morgan that are not deprecated. */
const NAMED = ["json", "dev", "combined", "common", "short", "tiny"];
const TOKEN = /:([-\w]{2,})(?:\[([^\]]+)\])?/g;

/**
 * Compiles a morgan format, given by name or as a string. The language is morgan's, the values come from the entry:
 * escaped, with secrets replaced, the user only after a passed authentication.
 */
export function compileMorgan(format: string, secrets: SecretNames): LineFormat | FormatProblem {
  const morgan = format.includes(":") || NOT_FORMATS.has(format) ? undefined : morganWith(format);
  const named = morgan?.[format];
  if (typeof named === "string") return compileString(named, secrets);
  if (isTokenFunction(named)) {
    return { problem: `is the name of a morgan token, not of a format; write ":${format}"` };
  }
  if (typeof named === "function") return compileFunction(named as MorganFormat, morgan!, secrets);
  if (!format.includes(":")) {
    const remedy = suggestion(format, NAMED, `The names are ${NAMED.join(", ")}.`);
    return { problem: `is not the name of a format, and has no :token in it. ${remedy}` };
  }
  return compileString(format, secrets);
}

function compileString(format: string, secrets: SecretNames): LineFormat | FormatProblem {
  const literals: string[] = [];
  const tokens: Token[] = [];
  let from = 0;
  for (const match of format.matchAll(TOKEN)) {
    const token = tokenFor(match[1]!, match[2]);
    if (typeof token === "object") return token;
    literals.push(escapeLine(format.slice(from, match.index)));
    tokens.push(token);
    from = match.index + match[0].length;
  }
  if (tokens.length === 0) return { problem: "has no :token in it, such as :method" };
  const last = escapeLine(format.slice(from));
  return function morganLine(entry, req, res) {
    const context: TokenContext = { entry, req, res, secrets };
    let line = "";
    for (let i = 0; i < tokens.length; i++) line += literals[i]! + (tokens[i]!(context) || "-");
    return line + last;
  };
}

function tokenFor(name: string, argument: string | undefined): Token | FormatProblem {
  const builtIn = Object.hasOwn(BUILT_IN_TOKENS, name) ? BUILT_IN_TOKENS[name] : undefined;
  if (builtIn !== undefined) {
    const problem = builtIn.check?.(argument);
    if (problem !== undefined) return { problem };
    return (context) => builtIn.escape(builtIn.value(context, argument));
  }
  const morgan = NOT_FORMATS.has(name) ? undefined : morganWith(name);
  if (typeof morgan?.[name] !== "function") {
    const similar = didYouMean(name, Object.keys(BUILT_IN_TOKENS));
    const question = similar === undefined ? "" : ` Did you mean ":${similar}"?`;
    return {
      problem: `has an unknown token ":${name}".${question} Register your own with morgan.token() first`,
    };
  }
  // Looked up for each line, as morgan does: the app may register the token again.
  return ({ req, res }) => {
    const own = morgan[name] as (req: IncomingMessage, res: ServerResponse, argument?: string) => unknown;
    const value = argument === undefined ? own(req, res) : own(req, res, argument);
    if (value === undefined || value === null) return undefined;
    const text = shorten(String(value));
    // The wrapper of morgan.token() has escaped a string already.
    return typeof value === "string" && isTokenFunction(own) ? escapeLine(text) : escapeValue(text);
  };
}

/** Whether it is the wrapper that `morgan.token()` makes. */
function isTokenFunction(member: unknown): boolean {
  return typeof member === "function" && member.name === "tokenValue";
}

/** Accepts a function that `morgan.compile()` has made; undefined for any other function. */
export function compileMorganFunction(format: unknown, secrets: SecretNames): LineFormat | undefined {
  const isCompiled = /^function anonymous\(tokens, req, res\b/.test(Function.prototype.toString.call(format));
  return isCompiled ? compileFunction(format as MorganFormat, loadMorgan(), secrets) : undefined;
}

/** Whether the app's format function failed because it expects morgan's tokens as its first argument. */
export function expectsTokens(fault: unknown): boolean {
  const [, name = ""] = /([\w-]+) is not a function$/.exec(String(peek(fault, "message"))) ?? [];
  return Object.hasOwn(BUILT_IN_TOKENS, name);
}

/** A format function for morgan gets morgan's tokens, with the built-in ones replaced by ours. */
function compileFunction(format: MorganFormat, morgan: Morgan, secrets: SecretNames): LineFormat {
  return function morganFunctionLine(entry, req, res) {
    const context: TokenContext = { entry, req, res, secrets };
    const tokens = Object.create(morgan) as Record<string, unknown>;
    for (const name of Object.keys(BUILT_IN_TOKENS)) {
      const token = BUILT_IN_TOKENS[name]!;
      tokens[name] = (_req: unknown, _res: unknown, argument?: string) =>
        token.escape(token.value(context, argument));
    }
    const line = format(tokens, req, res);
    return line === undefined || line === null ? undefined : escapeLine(String(line));
  };
}

interface TokenContext {
  readonly entry: RequestLogEntry;
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly secrets: SecretNames;
}

/** A token's escaped text; if it is empty or undefined, the line has `-`. */
type Token = (context: TokenContext) => string | undefined;

interface BuiltIn {
  readonly value: (context: TokenContext, argument: string | undefined) => string | undefined;
  readonly escape: (value: string | undefined) => string | undefined;
  /** Returns the problem of the argument. */
  readonly check?: (argument: string | undefined) => string | undefined;
}

const quoted = (value: string | undefined) => (value === undefined ? undefined : escapeValue(value));
const word = (value: string | undefined) => (value === undefined ? undefined : escapeWord(value));
/** For a value that a client cannot influence. */
const safe = (value: string | undefined) => value;
/** Known names need no escapes. */
const methodName = (value: string | undefined) =>
  value !== undefined && isKnownMethod(value) ? value : word(value);

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
const BUILT_IN_TOKENS: Readonly<Record<string, BuiltIn>> = {
  method: { value: ({ entry }) => entry.method, escape: methodName },
  url: { value: ({ entry }) => loggedTarget(entry), escape: word },
  status: { value: statusOf, escape: safe },
  "http-version": { value: ({ entry }) => entry.httpVersion, escape: word },
  "remote-addr": { value: ({ entry }) => entry.remoteAddress, escape: word },
  "remote-user": { value: ({ entry }) => entry.user?.toString(), escape: word },
  referrer: { value: ({ entry }) => entry.referrer, escape: quoted },
  "user-agent": { value: ({ entry }) => entry.userAgent, escape: quoted },
  "response-time": {
    value: ({ entry }, digits) => entry.headersMs?.toFixed(Number(digits ?? 3)),
    escape: safe,
    check: digitsBetween,
  },
  "total-time": {
    value: ({ entry }, digits) =>
      entry.immediate ? undefined : entry.durationMs.toFixed(Number(digits ?? 3)),
    escape: safe,
    check: digitsBetween,
  },
  date: { value: ({ entry }, form) => dateOf(entry.time, form), escape: safe, check: dateForm },
  pid: { value: () => String(process.pid), escape: safe },
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

/** The two forms without milliseconds are the same for all lines of a second. */
const latest = { second: "none", clf: "", web: "" };

function dateOf(time: string, form = "web"): string {
  if (form === "iso") return time;
  if (!time.startsWith(latest.second)) {
    const month = MONTHS[Number(time.slice(5, 7)) - 1];
    latest.second = time.slice(0, 19);
    latest.clf = `${time.slice(8, 10)}/${month}/${time.slice(0, 4)}:${time.slice(11, 19)} +0000`;
    latest.web = new Date(time).toUTCString();
  }
  return form === "web" ? latest.web : latest.clf;
}
