import { AssertionError } from "node:assert";
import { words } from "../../src/lib/values/words.js";
import type { HeaderBag } from "./expectations.js";

export interface Request {
  readonly method: string;
  readonly path: string;
  readonly headers: HeaderBag;
}

export function get(path: string, headers: HeaderBag = {}): Request {
  return { method: "GET", path, headers };
}

/** A response as it was received. */
export interface Answer {
  readonly status: number;
  /** By lower-case name; a header that was sent twice has two values. */
  readonly headers: ReadonlyMap<string, readonly string[]>;
  readonly body: string;
  /**
   * Where the body ended: it was `whole`; it was `truncated`, and clients can see that; or it ended with the connection
   * (`until-close`), where clients cannot see whether something is missing.
   */
  readonly end: "whole" | "truncated" | "until-close";
}

/** A header's value, joined as a browser joins several. */
export function header(answer: Answer, name: string): string | undefined {
  return answer.headers.get(name.toLowerCase())?.join(", ");
}

/** The members of a list header, in lower case. */
export function members(answer: Answer, name: string): string[] {
  return (header(answer, name) ?? "")
    .split(",")
    .map((member) => member.trim().toLowerCase())
    .filter((member) => member !== "");
}

export interface Parsed {
  readonly answer: Answer;
  /** The number of bytes of the answer. */
  readonly length: number;
}

/**
 * Reads the first answer in the received bytes; undefined while it is not complete.
 *
 * @param isOver no more bytes will come
 * @throws {SyntaxError} if the bytes are not an answer
 */
export function parseAnswer(bytes: Buffer, method: string, isOver: boolean): Parsed | undefined {
  const headEnd = bytes.indexOf("\r\n\r\n");
  if (headEnd === -1) return undefined;
  const [statusLine = "", ...lines] = bytes.toString("latin1", 0, headEnd).split("\r\n");
  const status = Number(/^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(statusLine)?.[1] ?? Number.NaN);
  if (Number.isNaN(status))
    throw new SyntaxError(`It begins with ${JSON.stringify(statusLine.slice(0, 60))}`);
  const start = headEnd + 4;
  if (status >= 100 && status < 200) {
    const next = parseAnswer(bytes.subarray(start), method, isOver); // an interim response
    return next && { answer: next.answer, length: start + next.length };
  }

  const headers = new Map<string, string[]>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon).trim().toLowerCase();
    headers.set(name, [...(headers.get(name) ?? []), line.slice(colon + 1).trim()]);
  }
  const made = (body: string, end: Answer["end"], length: number): Parsed => ({
    answer: { status, headers, body, end },
    length,
  });
  if (method === "HEAD" || status === 204 || status === 304) return made("", "whole", start);

  if (/\bchunked\s*$/i.test(headers.get("transfer-encoding")?.at(-1) ?? "")) {
    const { text, end } = readChunks(bytes, start);
    if (end !== undefined) return made(text, "whole", end);
    return isOver ? made(text, "truncated", bytes.length) : undefined;
  }
  const stated = headers.get("content-length")?.[0];
  if (stated === undefined) {
    return isOver ? made(bytes.toString("utf8", start), "until-close", bytes.length) : undefined;
  }
  const end = start + Number(stated);
  if (bytes.length >= end) return made(bytes.toString("utf8", start, end), "whole", end);
  return isOver ? made(bytes.toString("utf8", start), "truncated", bytes.length) : undefined;
}

function readChunks(bytes: Buffer, start: number): { text: string; end: number | undefined } {
  const chunks: Buffer[] = [];
  const text = () => Buffer.concat(chunks).toString("utf8");
  for (let at = start; ; ) {
    const lineEnd = bytes.indexOf("\r\n", at);
    if (lineEnd === -1) return { text: text(), end: undefined };
    const size = Number.parseInt(bytes.toString("latin1", at, lineEnd), 16);
    if (Number.isNaN(size)) throw new SyntaxError("A chunk has no size");
    const from = lineEnd + 2;
    if (size === 0) {
      // An empty line ends the trailers, also if there are none.
      const end = bytes.indexOf("\r\n\r\n", lineEnd);
      return { text: text(), end: end === -1 ? undefined : end + 4 };
    }
    if (bytes.length < from + size + 2) {
      chunks.push(bytes.subarray(from, from + size));
      return { text: text(), end: undefined };
    }
    chunks.push(bytes.subarray(from, from + size));
    at = from + size + 2;
  }
}

/** Request headers whose values may be printed: others may be credentials. */
const SHOWN_REQUEST = ["origin", "accept", "access-control-request-method", "access-control-request-headers"];
const SHOWN_ANSWER = words(
  "access-control-allow-origin access-control-allow-credentials access-control-allow-methods",
  "access-control-allow-headers vary cache-control content-type connection",
);

/** @param message what a browser or a client would see */
export function fail(message: string, request?: Request, answer?: Answer): never {
  const lines = [message];
  if (request !== undefined) lines.push(`  request: ${describeRequest(request)}`);
  if (answer !== undefined) lines.push(`  answer:  ${describeAnswer(answer)}`);
  throw new AssertionError({ message: lines.join("\n"), stackStartFn: fail });
}

function describeRequest({ method, path, headers }: Request): string {
  const shown = Object.entries(headers).map(([name, value]) =>
    SHOWN_REQUEST.includes(name.toLowerCase()) ? `${name}: ${value}` : `${name}: ...`,
  );
  return [`${method} ${path}`, ...shown].join("; ");
}

function describeAnswer(answer: Answer): string {
  const shown = SHOWN_ANSWER.flatMap((name) => {
    const value = header(answer, name);
    return value === undefined ? [] : [`${name}: ${value}`];
  });
  const end = answer.end === "truncated" ? ", truncated" : "";
  return [`${answer.status}`, ...shown, `${Buffer.byteLength(answer.body)} bytes of body${end}`].join("; ");
}
