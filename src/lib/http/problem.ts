import type { Request, Response } from "express";
import Negotiator from "negotiator"; // Accept's grammar and its precedence rules, kept by the Express team

/** An error as RFC 9457 describes it. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail?: string | undefined;
  /** The path of the request, without its query. */
  readonly instance?: string | undefined;
  /** The request's id in the server's log. */
  readonly requestId?: string | undefined;
}

/**
 * Writes the answer to a request that was refused or has failed. Status and headers are set: `WWW-Authenticate`, `Allow`,
 * `Retry-After`, `Connection`, `Cache-Control`. `error` is what was thrown, undefined for a refusal.
 */
export type RenderProblem = (problem: Problem, req: Request, res: Response, error: unknown) => unknown;

/** A body ready to be sent. */
export interface Representation {
  readonly type: string;
  readonly body: string;
}

/**
 * A problem without a type: its title is the status's phrase (RFC 9457 section 4.2.1). `node:http` is loaded on first use,
 * which keeps the import of this package fast.
 */
export function problemOf(status: number): Problem {
  const title = process.getBuiltinModule("node:http").STATUS_CODES[status] ?? "Error";
  return { type: "about:blank", title, status };
}

const FORMS = {
  "application/problem+json": asJson,
  "application/json": asJson,
  "text/html": asHtml,
  "application/xhtml+xml": asHtml,
  "text/plain": asText,
} as const;
const OFFERED = Object.keys(FORMS) as [keyof typeof FORMS];

/** The problem in the form that the client prefers: problem+json, HTML or text. */
export function represent(problem: Problem, accept: string | undefined): Representation {
  return FORMS[preferredType(accept, OFFERED)](problem);
}

function asJson(problem: Problem): Representation {
  return { type: "application/problem+json; charset=utf-8", body: JSON.stringify(problem) };
}

function asHtml({ status, title, detail, requestId }: Problem): Representation {
  const heading = escapeHtml(`${status} ${title}`);
  const lines = [
    "<!DOCTYPE html>",
    `<html lang="en"><head><meta charset="utf-8"><title>${heading}</title></head><body>`,
    `<h1>${heading}</h1>`,
  ];
  if (detail !== undefined) {
    const element = detail.includes("\n") ? "pre" : "p"; // a stack keeps its lines
    lines.push(`<${element}>${escapeHtml(detail)}</${element}>`);
  }
  if (requestId !== undefined) lines.push(`<p>Request <code>${escapeHtml(requestId)}</code></p>`);
  lines.push("</body></html>", "");
  return { type: "text/html; charset=utf-8", body: lines.join("\n") };
}

function asText({ status, title, detail, requestId }: Problem): Representation {
  const parts = [`${status} ${title}`, detail, requestId && `Request ${requestId}`];
  return { type: "text/plain; charset=utf-8", body: `${parts.filter(Boolean).join("\n\n")}\n` };
}

function escapeHtml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;");
}

/** Longer values are not parsed: no real client sends them. */
const MAX_ACCEPT_LENGTH = 2048;

/**
 * Which of the offered media types the client prefers (RFC 9110 section 12.5.1). It is the first of several that the client
 * likes equally, and the first of all if the client says nothing or accepts none: an error is never answered with a 406.
 */
export function preferredType<T extends string>(
  accept: string | undefined,
  offered: readonly [T, ...T[]],
): T {
  if (accept === undefined || accept === "*/*" || accept.length > MAX_ACCEPT_LENGTH) return offered[0];
  const liked = new Negotiator({ headers: { accept: withoutParameters(accept) } }).mediaType([...offered]);
  return (liked as T | undefined) ?? offered[0];
}

/** `text/html;charset=utf-8` means HTML: of the parameters, only the weight counts. */
function withoutParameters(accept: string): string {
  return accept
    .split(",")
    .map((range) => {
      const [type = "", ...parameters] = range.split(";");
      const weight = parameters.find((parameter) => /^\s*q\s*=/i.test(parameter));
      return weight === undefined ? type : `${type};${weight}`;
    })
    .join(",");
}
