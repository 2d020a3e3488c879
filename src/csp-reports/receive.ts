import type { IncomingMessage } from "node:http";

/** Why a body has no reports: the status and the detail of the answer. */
export interface Refusal {
  readonly status: 400 | 408 | 413;
  readonly detail: string;
}

const NOT_JSON: Refusal = { status: 400, detail: "The body is not JSON in UTF-8." };
const NO_REPORT: Refusal = { status: 400, detail: "The body is neither a report nor a list of reports." };
const TOO_SLOW: Refusal = { status: 408, detail: "The body did not come in time." };

/**
 * Reads the reports of a request; undefined if the client left before the end.
 *
 * @throws {Error} if an earlier handler read the body and did not put it into `req.body`
 */
export async function receive(
  req: IncomingMessage & { readonly body?: unknown },
  maxBytes: number,
): Promise<Batch | Refusal | undefined> {
  // `req.body` does not show it: the body parsers of Express 4 set it to {} for types that they do not read.
  if (req.readableDidRead || req.readableEnded) return fromParser(req.body, maxBytes);
  const body = await readBody(req, maxBytes);
  if (body === "gone") return undefined;
  if (body === "too slow") return TOO_SLOW;
  return body === "too large" ? tooLarge(maxBytes) : fromText(body);
}

/** Takes the body from a body parser. If it is an object, its size is limited by the parser. */
function fromParser(body: unknown, maxBytes: number): Batch | Refusal {
  if (body === undefined) {
    throw new Error(
      "an earlier handler read the body and did not put it into req.body: mount cspReports before it",
    );
  }
  if (typeof body !== "string" && !(body instanceof Uint8Array)) return batchOf(body) ?? NO_REPORT;
  return Buffer.byteLength(body) > maxBytes ? tooLarge(maxBytes) : fromText(body);
}

function fromText(body: string | Uint8Array): Batch | Refusal {
  const json = parseJson(body);
  return json === undefined ? NOT_JSON : (batchOf(json.value) ?? NO_REPORT);
}

function tooLarge(maxBytes: number): Refusal {
  return { status: 413, detail: `The body may have at most ${maxBytes} bytes.` };
}

/** Reports are small; a client that needs longer only holds a connection. */
const READ_WITHIN_MS = 10_000;

export type BodyResult = Buffer | "too large" | "too slow" | "gone";

/**
 * Reads the body of a request up to a limit; nothing is kept of the rest. Never rejects, and removes all its listeners.
 */
export function readBody(
  req: IncomingMessage,
  maxBytes: number,
  withinMs = READ_WITHIN_MS,
): Promise<BodyResult> {
  if (Number(req.headers["content-length"]) > maxBytes) return Promise.resolve("too large");
  return new Promise((resolve) => {
    // One buffer, not a list of chunks: chunks of one byte each would take a hundred times the memory.
    let body = Buffer.alloc(0);
    let length = 0;

    function onData(chunk: Buffer | string): void {
      // A string, if an earlier handler has called `setEncoding`.
      const bytes = typeof chunk === "string" ? Buffer.from(chunk, req.readableEncoding ?? "utf8") : chunk;
      const end = length + bytes.length;
      if (end > maxBytes) {
        settle("too large");
        return;
      }
      if (end > body.length) body = Buffer.concat([body], Math.min(maxBytes, Math.max(end, 2 * body.length)));
      body.set(bytes, length);
      length = end;
    }
    // On HTTP/2, 'end' is also emitted when the client has left.
    const onEnd = () => settle(req.aborted ? "gone" : body.subarray(0, length));
    // Not on 'aborted': an 'error' follows, which needs a listener.
    const onGone = () => settle("gone");
    const timer = setTimeout(() => settle("too slow"), withinMs).unref();

    function settle(result: BodyResult): void {
      clearTimeout(timer);
      req.off("data", onData).off("end", onEnd).off("close", onGone).off("error", onGone);
      resolve(result);
    }
    if (req.destroyed) return onGone();
    req.on("data", onData).on("end", onEnd).on("close", onGone).on("error", onGone);
    req.resume(); // an earlier handler may have paused it, and a listener alone would not resume it
  });
}

/** How many entries of one body are read. */
export const MAX_REPORTS = 100;

export interface Batch {
  readonly entries: readonly unknown[];
  /** How many entries beyond the limit were left out. */
  readonly over: number;
}

/**
 * The entries of a body, independent of its content type: an array (the Reporting API), one report (Safari), or one under
 * `csp-report`. Undefined for anything else.
 */
export function batchOf(body: unknown): Batch | undefined {
  if (Array.isArray(body)) {
    return { entries: body.slice(0, MAX_REPORTS), over: Math.max(0, body.length - MAX_REPORTS) };
  }
  if (typeof body !== "object" || body === null) return undefined;
  const isReport = Object.hasOwn(body, "csp-report") || Object.hasOwn(body, "type");
  return isReport ? { entries: [body], over: 0 } : undefined;
}

/** Parses a body; undefined if it is not JSON in UTF-8. */
export function parseJson(body: Uint8Array | string): { readonly value: unknown } | undefined {
  try {
    const text = typeof body === "string" ? body : new TextDecoder("utf-8", { fatal: true }).decode(body);
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}
