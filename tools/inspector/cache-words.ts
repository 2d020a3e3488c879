import type { Decision } from "./report.js";

/** One member of Cache-Status (RFC 9211): its name and parameters. */
interface Member {
  readonly name: string;
  readonly parameters: ReadonlyMap<string, string>;
}

const MAX_MEMBERS = 5;

/**
 * What the cache did, in words.
 *
 * @param called whether a `cache` of this package was called
 * @param setBy who set a header of the response, in words
 */
export function cacheDecisions(
  called: boolean,
  field: string | undefined,
  setBy: (name: string) => string | undefined,
): Decision[] {
  if (field === undefined) {
    const text =
      "cache was called, and has left no Cache-Status: another answer replaced the one that it saw.";
    return called ? [{ about: "cache", verdict: "note", text }] : [];
  }
  const members = membersOf(field).slice(0, MAX_MEMBERS);
  return members.map(({ name, parameters }) => {
    const [word, text] = wordsOf(parameters, setBy);
    return {
      about: "cache",
      verdict: "cache",
      word,
      text: members.length === 1 ? text : `${name}: ${text}`, // which one it is about
    };
  });
}

/** For the list, if `cache` did not use or not store the answer. The row shows the method and the status. */
export function shortReason(field: string | undefined): string | undefined {
  const parameters = membersOf(field ?? "").at(-1)?.parameters; // caches nearer to the origin come first
  const detail = parameters?.get("detail");
  if (detail === undefined || NOT_IN_LIST.has(detail)) return undefined;
  const word = parameters!.get("fwd") === "bypass" ? "bypassed" : "not stored";
  return `${word}: ${detail === "no-freshness" ? "no max-age" : detail}`;
}

const NOT_IN_LIST: ReadonlySet<string> = new Set(["stale-if-error", "method", "status"]);

/** A word for the state of the answer, and a sentence with the reason first. */
function wordsOf(
  parameters: Member["parameters"],
  setBy: (name: string) => string | undefined,
): [word: string, text: string] {
  const detail = parameters.get("detail");
  const ttl = parameters.get("ttl");
  if (parameters.has("hit")) {
    const age =
      ttl === undefined
        ? ""
        : Number(ttl) >= 0
          ? `, fresh for ${ttl} s more`
          : `, stale for ${-Number(ttl)} s`;
    return [Number(ttl) < 0 ? "stale hit" : "hit", `Served from the cache${age}.`];
  }
  const forward = parameters.get("fwd") ?? "";
  const header = HEADERS[detail ?? ""];
  const setter = header && setBy(header);
  const reason = detail && `${DETAILS[detail] ?? detail}${setter ? ` (set by ${setter})` : ""}`;
  if (forward === "bypass") return ["bypassed", `Bypassed: ${reason ?? "no reason given"}.`];
  if (forward === "method") return ["bypassed", "Bypassed: the method is neither GET nor HEAD."];
  const before = BEFORE[forward] ?? `Not served from the cache: ${forward || "no reason given"}.`;
  if (detail === "stale-if-error")
    return ["stale", `Served a stale answer from the cache, because the handlers failed. ${before}`];
  if (parameters.has("stored")) return ["stored", `Stored for the next requests. ${before}`];
  return ["not stored", `Not stored${reason === undefined ? "" : `: ${reason}`}. ${before}`];
}

/** Why the stored answers could not be used. */
const BEFORE: Readonly<Record<string, string>> = {
  "uri-miss": "Before, the cache had no answer for this URL.",
  "vary-miss": "Before, the cache had answers for other request headers only (Vary).",
  miss: "Before, the cache had no answer.",
  request: "The request's Cache-Control asked for a new answer.",
  stale: "The answer that the cache had was stale.",
  partial: "The cache had only a part of the answer.",
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
  partial: "the answer is only a part",
  "request-no-store": "the request's Cache-Control says no-store",
  "no-store": "the answer's Cache-Control says no-store",
  private: "the answer's Cache-Control says private",
  authorization: "the request has an Authorization header, and the answer does not say that it is public",
  "set-cookie": "the answer sets a cookie",
  vary: "the answer has Vary: *",
  stream: "the answer is an event stream",
  nonce: "the answer's Content-Security-Policy has a nonce, which is for one answer only",
  tags: "the answer has too many tags",
  "no-freshness": "no header says for how long it may be reused (Cache-Control: max-age, or Expires)",
};

/** The response header that a reason is about. */
const HEADERS: Readonly<Record<string, string>> = {
  "no-store": "cache-control",
  private: "cache-control",
  "set-cookie": "set-cookie",
  vary: "vary",
  nonce: "content-security-policy",
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
