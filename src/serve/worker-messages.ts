import type { CloseReport } from "./shutdown.js";

/** Messages from a worker to its primary. `server` is the number of the program's `serve` call: 0 for the first. */
export type FromWorker =
  | { readonly type: "listening"; readonly server: number; readonly url: string }
  | {
      readonly type: "failed";
      readonly server: number;
      readonly message: string;
      readonly code: string | undefined;
    }
  /** It closes, for whatever reason: its successor may start. */
  | { readonly type: "closing" }
  | { readonly type: "closed"; readonly server: number; readonly report: Omit<CloseReport, "error"> }
  /** Its last message. Once the primary has answered, no connection is on its way to the worker. */
  | { readonly type: "leaving" };

export type FromPrimary = { readonly type: "close"; readonly server: number } | { readonly type: "released" };

const KEY = "express-portico";

/** Tells our messages from those of the program, which use the same channel. */
export function wrap<T extends FromWorker | FromPrimary>(message: T): object {
  return { [KEY]: message };
}

export function unwrap<T extends FromWorker | FromPrimary>(message: unknown): T | undefined {
  if (typeof message !== "object" || message === null) return undefined;
  return (message as { [KEY]?: T })[KEY];
}
