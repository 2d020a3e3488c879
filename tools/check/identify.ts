import type { VariableReader } from "../../src/lib/express/app.js";
import { handlerInfo } from "../../src/lib/express/handler.js";
import { peek } from "../../src/lib/values/thrown.js";
import { uncalledFactory } from "./factories.js";
import { PACKAGES } from "./packages.js";
import { parametersOf, sourceOf } from "./parameters.js";

export interface Identity {
  readonly concern?: string;
  readonly package?: string;
  readonly facts?: Readonly<Record<string, unknown>>;
}

/** What a handler is, from its own description, from what is known of its package, or from its source. */
export function identify(handler: unknown, variables: VariableReader): Identity {
  const told = handlerInfo(handler);
  if (told !== undefined) {
    const { concern, ...facts } = told;
    return { concern, package: "express-portico", facts };
  }
  const said = peek(handler, "name");
  const name = typeof said === "string" ? said : "";
  const source = sourceOf(handler);
  const factory = uncalledFactory(handler, name, source);
  if (factory !== undefined) return { package: factory.package, facts: { notCalled: factory.call } };
  for (const known of PACKAGES) {
    if (!known.name.test(name) || !known.isIt(handler, source)) continue;
    const { concern = known.concern, ...facts } = known.facts?.(handler, variables) ?? {};
    return { concern: concern as string, package: known.package, facts };
  }
  const facts = factsOfSource(handler, source);
  const isLast = isNotFound(handler, source);
  return {
    ...(isLast !== undefined && { concern: "notFound" }),
    ...((facts !== undefined || isLast !== undefined) && { facts: { ...facts, ...isLast } }),
  };
}

const FORWARDED =
  /(?:\.headers\s*(?:\[\s*|\.\s*)|\.(?:get|header)\(\s*)["'`](x-forwarded-(?:for|proto|host)|x-real-ip|forwarded)["'`]/i;

function factsOfSource(handler: unknown, source: string): Record<string, unknown> | undefined {
  const header = FORWARDED.exec(source)?.[1];
  const intended = intendedAsErrorHandler(handler);
  const handsOn = handsErrorsOn(handler, source);
  const rejects = mayReject(handler, source);
  if (header === undefined && !intended && !handsOn && !rejects) return undefined;
  return {
    ...(handsOn && { handsErrorsOn: true }),
    ...(rejects && { mayReject: true }),
    ...(header !== undefined && { readsHeader: header }),
    ...(intended && { intendedAsErrorHandler: true }),
  };
}

/** The first parameter is named like an error, but Express passes the request. */
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

/** An error handler that passes errors on: it may handle one kind of error only. */
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

/** An async function without a `try` around its whole body. */
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

/** A handler that answers every request with a 404: its source has a 404 and no condition. When unsure, it is none. */
function isNotFound(handler: unknown, source: string): { passesError: boolean } | undefined {
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
