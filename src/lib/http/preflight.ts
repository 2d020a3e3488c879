import type { IncomingMessage } from "node:http";

/** As the Fetch standard defines it (section 3.3.2): a method's name alone does not make a preflight. */
export function isPreflight(method: string | undefined, headers: IncomingMessage["headers"]): boolean {
  return (
    method === "OPTIONS" &&
    headers.origin !== undefined &&
    headers["access-control-request-method"] !== undefined
  );
}
