import { peek } from "../../src/lib/values/thrown.js";

/**
 * The parameters in a function's source; undefined if they cannot be read. `length`, which Express uses, does not count
 * a parameter with a default, nor those after it.
 */
export function parametersOf(fn: unknown): readonly string[] | undefined {
  const source = sourceOf(fn);
  if (source === "" || source.startsWith("class")) return undefined;
  const single = /^(?:async\s+)?([\w$]+)\s*=>/.exec(source);
  if (single !== null) return [single[1]!];
  const start = source.indexOf("(");
  return start < 0 ? undefined : split(source, start);
}

/** The source of a function; empty for built-in and bound functions. */
export function sourceOf(fn: unknown): string {
  if (typeof fn !== "function") return "";
  const source = Function.prototype.toString.call(fn);
  return source.includes("[native code]") ? "" : source;
}

const OPENING = "([{";
const CLOSING = ")]}";

function split(source: string, start: number): readonly string[] | undefined {
  const parameters: string[] = [];
  let depth = 0;
  let current = "";
  for (let at = start; at < source.length; at++) {
    const char = source[at]!;
    if (
      char === '"' ||
      char === "'" ||
      char === "`" ||
      (char === "/" && "/*".includes(source[at + 1] ?? " "))
    )
      return undefined; // strings and comments may contain any of these characters
    if (OPENING.includes(char)) depth++;
    else if (CLOSING.includes(char)) depth--;
    if (depth === 0) {
      if (current.trim() !== "") parameters.push(current.trim());
      return parameters;
    }
    if (char === "," && depth === 1) {
      parameters.push(current.trim());
      current = "";
    } else if (at > start) current += char;
  }
  return undefined;
}

const FORWARDED =
  /(?:\.headers\s*(?:\[\s*|\.\s*)|\.(?:get|header)\(\s*)["'`](x-forwarded-(?:for|proto|host)|x-real-ip|forwarded)["'`]/i;

/** What the source of an unknown handler shows. */
export function detailsOfSource(handler: unknown, source: string): Record<string, unknown> | undefined {
  const header = FORWARDED.exec(source)?.[1];
  const intended = intendedAsErrorHandler(handler);
  const handsOn = handsErrorsOn(handler, source);
  const rejects = mayReject(handler, source);
  const overrides = overridesMethod(handler, source);
  if (header === undefined && !intended && !handsOn && !rejects && !overrides) return undefined;
  return {
    ...(overrides && { overridesMethod: true }),
    ...(handsOn && { handsErrorsOn: true }),
    ...(rejects && { mayReject: true }),
    ...(header !== undefined && { readsHeader: header }),
    ...(intended && { intendedAsErrorHandler: true }),
  };
}

/** Whether a handler assigns to the method of its request. */
function overridesMethod(handler: unknown, source: string): boolean {
  if (!source.includes(".method")) return false;
  const [request] = parametersOf(handler) ?? [];
  if (request === undefined || !/^[\w$]+$/.test(request)) return false;
  return new RegExp(`${wordOf(request)}\\.method\\s*=(?!=)`).test(source);
}

/** Whether a handler's first parameter is named like an error, although Express passes the request there. */
function intendedAsErrorHandler(handler: unknown): boolean {
  if (peek(handler, "length") === 4) return false;
  const parameters = parametersOf(handler);
  if (parameters === undefined || parameters.length < 3 || parameters.length > 4) return false;
  return (
    /^_*(?:err|error|ex|exception)$/i.test(parameters[0]!) &&
    /^_*(?:req|request)\b/i.test(parameters[1]!) &&
    /^_*(?:res|response|reply)\b/i.test(parameters[2]!)
  );
}

/** Whether an error handler passes errors on: it may handle one kind of error only. */
function handsErrorsOn(handler: unknown, source: string): boolean {
  if (peek(handler, "length") !== 4) return false;
  const next = parametersOf(handler)?.[3];
  if (next === undefined || !/^[\w$]+$/.test(next)) return true; // unknown: no finding
  const call = new RegExp(`${wordOf(next)}\\s*\\(\\s*[^)\\s]`);
  const body = source.slice(source.indexOf(next) + next.length);
  return call.test(withoutSentGuard(body, `${wordOf(next)}\\s*\\([^()]*\\)`));
}

/** Removes the call that Express recommends for responses that have begun: `if (res.headersSent) return next(err)`. */
function withoutSentGuard(body: string, call: string): string {
  const sent = "[\\w$.]+\\.(?:headersSent|writableEnded|_headerSent)(?:\\s*===?\\s*true)?";
  return body
    .replace(
      new RegExp(`if\\s*\\(\\s*${sent}\\s*\\)\\s*(?:\\{[^{}]*\\}|(?:return\\s+)?(?:void\\s+)?${call})`, "g"),
      ";",
    )
    .replace(new RegExp(`${sent}\\s*(?:\\?|&&)\\s*(?:void\\s+)?${call}`, "g"), ";");
}

/** Whether a handler is an async function without a `try` around its whole body. */
function mayReject(handler: unknown, source: string): boolean {
  if (source === "") return false; // a bound function has no source
  if (peek(handler, Symbol.toStringTag) === "AsyncFunction") {
    return !/^[^{]*\{\s*(?:["']use strict["'];?\s*)?try\b/.test(source);
  }
  return (
    /^[^{]*\{\s*return (?:\w+\.)?__awaiter\(/.test(source) &&
    !/\{\s*try\s*\{|_\.trys\.push\(\[0,/.test(source)
  );
}

/** Whether a handler answers every request with a 404: its source has a 404 and no condition. Undefined if it is not clear. */
export function isNotFound(handler: unknown, source: string): { passesError: boolean } | undefined {
  if (peek(handler, "length") === 4 || source.length > 1_000) return undefined;
  if (!/\b404\b|\bNotFound(?:Error)?\b/.test(source)) return undefined;
  if (/\bif\b|\?|&&|\|\||\bswitch\b|\bfor\b|\bwhile\b|\bcatch\b|\bawait\b|\byield\b/.test(source))
    return undefined;
  const parameters = parametersOf(handler);
  if (parameters === undefined || parameters.some((one) => !/^[\w$]+$/.test(one))) return undefined;
  if (/\barguments\b/.test(source)) return undefined;
  const next = parameters[2];
  const answers = /\.(?:send|json|end|render|sendFile|sendStatus)\(/.test(source);
  if (next === undefined) return answers ? { passesError: false } : undefined;
  const word = wordOf(next);
  const uses = [...source.matchAll(new RegExp(word, "g"))].length - 1;
  const passes = [...source.matchAll(new RegExp(`${word}\\s*\\(\\s*(\\)?)`, "g"))].map(([, empty]) => empty);
  if (passes.includes(")")) return undefined;
  if (passes.length > 0) return passes.length === uses ? { passesError: true } : undefined;
  return uses === 0 && answers ? { passesError: false } : undefined;
}

/** A pattern for the uses of a parameter. */
function wordOf(parameter: string): string {
  return `(?<![\\w$.])${parameter.replaceAll("$", "\\$")}(?![\\w$])`;
}
