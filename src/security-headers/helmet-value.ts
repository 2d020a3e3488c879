import type { IncomingMessage, ServerResponse } from "node:http";

type HelmetMiddleware = (req: IncomingMessage, res: ServerResponse, next: () => void) => void;

/** The header value that a middleware of helmet sets. */
export function headerValueOf(middleware: HelmetMiddleware): string {
  let sent = "";
  const res = { setHeader: (_name: string, value: string) => void (sent = value) };
  middleware({} as IncomingMessage, res as unknown as ServerResponse, () => {});
  return sent;
}
