import type { IncomingMessage } from "node:http";
import { readBody } from "./body.js";
import { type Batch, batchOf, parseJson } from "./payload.js";

/** Why a body has no reports to give: the status of the answer, and what it says. */
export interface Refusal {
  readonly status: 400 | 408 | 413;
  readonly detail: string;
}

const NOT_JSON: Refusal = { status: 400, detail: "The body is not JSON in UTF-8." };
const NO_REPORT: Refusal = { status: 400, detail: "The body is neither a report nor a list of reports." };
const TOO_SLOW: Refusal = { status: 408, detail: "The body did not come in time." };

/**
 * The reports that a request brings; undefined if its client left before the end.
 *
 * @throws {Error} if the body was read before, and is not to be found
 */
export async function receive(
  req: IncomingMessage & { readonly body?: unknown },
  maxBytes: number,
): Promise<Batch | Refusal | undefined> {
  // Not by `req.body` alone: a body parser of Express 4 puts a {} there also for types that it does not read.
  if (req.readableDidRead || req.readableEnded) return fromParser(req.body, maxBytes);
  const body = await readBody(req, maxBytes);
  if (body === "gone") return undefined;
  if (body === "too slow") return TOO_SLOW;
  return body === "too large" ? tooLarge(maxBytes) : fromText(body);
}

/** What has become an object is within the limit of the parser that made it. */
function fromParser(body: unknown, maxBytes: number): Batch | Refusal {
  if (body === undefined) {
    throw new Error(
      "the body was read before, and is not in req.body: mount cspReports before what reads it",
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
  return { status: 413, detail: `A body may have ${maxBytes} bytes here.` };
}
