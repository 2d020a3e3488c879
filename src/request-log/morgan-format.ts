import type { IncomingMessage, ServerResponse } from "node:http";
import { didYouMean } from "../lib/config/did-you-mean.js";
import { peek } from "../lib/values/thrown.js";
import type { RequestLogEntry } from "./entry.js";
import { escapeLine, escapeValue, shorten } from "./escape.js";
import { loadMorgan, type Morgan, morganWith } from "./load-morgan.js";
import { BUILT_IN_TOKENS, type Token, type TokenContext } from "./morgan-tokens.js";
import type { SecretNames } from "./redact.js";

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
    const meant = didYouMean(format, NAMED);
    const hint = meant === undefined ? `The names are ${NAMED.join(", ")}.` : `Did you mean "${meant}"?`;
    return { problem: `is not the name of a format, and has no :token in it. ${hint}` };
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
    const meant = didYouMean(name, Object.keys(BUILT_IN_TOKENS));
    const hint = meant === undefined ? "" : ` Did you mean ":${meant}"?`;
    return { problem: `has an unknown token ":${name}".${hint} Register your own with morgan.token() first` };
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
