import type { IncomingMessage } from "node:http";
import { readBody } from "./body.js";
import { type Batch, batchOf, parseJson } from "./payload.js";

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
  // `req.body` does not tell: the body parsers of Express 4 set it to {} for types that they do not read.
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
