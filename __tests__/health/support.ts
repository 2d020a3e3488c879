import type { IncomingMessage, ServerResponse } from "node:http";
import { createRequest, createResponse } from "node-mocks-http";
import type { Handler } from "../../src/lib/express/handler.js";

export interface Body {
  readonly status: string;
  readonly closing?: boolean;
  readonly checks?: Record<string, { status: string; time?: string; durationMs?: number; error?: string }>;
}

/** The answer of a handler that answers synchronously, without a server: timers may be fake. */
export function answerOf(handler: Handler): { status: number; body: Body } {
  const req = createRequest({ method: "GET", url: "/" });
  const res = createResponse({ req });
  handler(req as unknown as IncomingMessage, res as unknown as ServerResponse, (error) => {
    throw error ?? new Error("went on");
  });
  return { status: res.statusCode, body: JSON.parse(res._getData()) as Body };
}
