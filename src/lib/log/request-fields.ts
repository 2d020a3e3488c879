import type { IncomingMessage } from "node:http";
import { pathOf } from "../http/target.js";
import { stateOf } from "../request/state.js";

/** The fields that say in a log message which request it is about. */
export function requestFields(req: IncomingMessage): {
  readonly method: string | undefined;
  readonly path: string;
  readonly requestId?: string;
} {
  const { id } = stateOf(req);
  return { method: req.method, path: pathOf(req), ...(id !== undefined && { requestId: id }) };
}
