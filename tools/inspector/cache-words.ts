import type { Decision } from "./report.js";

/** One member of Cache-Status (RFC 9211): its name and parameters. */
interface Member {
  readonly name: string;
  readonly parameters: ReadonlyMap<string, string>;
}

const MAX_MEMBERS = 5;

/** What the cache did, in words. @param called whether a `cache` of this package was called */
export function cacheDecisions(called: boolean, field: string | undefined): Decision[] {
  if (field === undefined) {
    const text =
      "cache was called, and has left no Cache-Status: another answer replaced the one that it saw.";
    return called ? [{ about: "cache", verdict: "note", text }] : [];
  }
  return membersOf(field)
    .slice(0, MAX_MEMBERS)
    .map(({ name, parameters }) => ({
      about: "cache",
      verdict: "note",
      text: `${name}: ${wordsOf(parameters)}`,
    }));
}

function wordsOf(parameters: Member["parameters"]): string {
  const detail = parameters.get("detail");
  const ttl = parameters.get("ttl");
  if (parameters.has("hit")) {
    const age =
      ttl === undefined
        ? ""
        : Number(ttl) >= 0
          ? `, fresh for ${ttl} s more`
          : `, stale for ${-Number(ttl)} s`;
    return `served from the cache${age}.`;
  }
  const forward = parameters.get("fwd") ?? "";
  const why = FORWARDS[forward] ?? `not served from the cache (${forward || "no reason given"})`;
  if (forward === "bypass")
    return `not cached: ${DETAILS[detail ?? ""] ?? `bypassed (${detail ?? "no reason given"})`}.`;
  if (parameters.has("stored")) return `${why}; the answer was stored.`;
  if (detail === undefined) return `${why}; the answer was not stored.`;
  if (detail === "stale-if-error") return `${why}; the handlers failed, so the stale answer was served.`;
  return `${why}; the answer was not stored: ${DETAILS[detail] ?? detail}.`;
}

const FORWARDS: Readonly<Record<string, string>> = {
  method: "the method is neither GET nor HEAD",
  "uri-miss": "nothing was stored for this URL",
  "vary-miss": "what is stored for this URL is for other request headers (Vary)",
  miss: "nothing was stored",
  request: "the request's Cache-Control asked for a new answer",
  stale: "the stored answer was stale",
  partial: "only a part was stored",
};

/** Reasons of `cache` not to use or not to store an answer. */
const DETAILS: Readonly<Record<string, string>> = {
  target: "the request's target has a form that is not cached",
  key: "no key could be made for the request",
  host: "the host is not in the option hosts",
  cookie: "the request has a Cookie header, and the option cookies is false",
  body: "the request has a body",
  connection: "Connection names other header fields",
  precondition: "the request has If-Match or If-Unmodified-Since",
  "only-if-cached": "the request asked for a stored answer only, and there was none",
  method: "only answers to GET are stored",
  status: "an answer with this status is not stored",
  partial: "it is only a part",
  "request-no-store": "the request's Cache-Control says no-store",
  "no-store": "its Cache-Control says no-store",
  private: "its Cache-Control says private",
  authorization: "the request has an Authorization header, and the answer does not say that it is public",
  "set-cookie": "it sets a cookie",
  vary: "it has Vary: *",
  stream: "it is an event stream",
  nonce: "its Content-Security-Policy has a nonce, which is for one answer only",
  tags: "it has too many tags",
  "no-freshness": "its headers name no time for which it is fresh (Cache-Control: max-age=…)",
};

/** Reads the list; quoted strings may have commas and semicolons in them. */
function membersOf(field: string): Member[] {
  return split(field, ",").map((member) => {
    const [name = "", ...rest] = split(member, ";");
    const parameters = rest.map((parameter): [string, string] => {
      const equals = parameter.indexOf("=");
      return equals === -1
        ? [parameter, ""]
        : [parameter.slice(0, equals), plain(parameter.slice(equals + 1))];
    });
    return { name: plain(name), parameters: new Map(parameters) };
  });
}

function split(text: string, separator: "," | ";"): string[] {
  const parts =
    text.match(separator === "," ? /(?:"(?:[^"\\]|\\.)*"|[^",])+/g : /(?:"(?:[^"\\]|\\.)*"|[^";])+/g) ?? [];
  return parts.map((part) => part.trim()).filter(Boolean);
}

function plain(text: string): string {
  return text.startsWith('"') ? text.slice(1, -1).replace(/\\(.)/g, "$1") : text;
}
