import type { CloseReport } from "./close.js";

/** What a worker tells its primary. `server` is which of the program's `serve` calls it is about: 0 for the first. */
export type FromWorker =
  | { readonly type: "listening"; readonly server: number; readonly url: string }
  | {
      readonly type: "failed";
      readonly server: number;
      readonly message: string;
      readonly code: string | undefined;
    }
  /** It closes, whoever asked for that: its successor may start. */
  | { readonly type: "closing" }
  | { readonly type: "closed"; readonly server: number; readonly report: Omit<CloseReport, "error"> }
  /** Nothing more will come; the primary's answer shows that no connection is on its way to the worker. */
  | { readonly type: "farewell" };

export type FromPrimary = { readonly type: "close"; readonly server: number } | { readonly type: "farewell" };

const MARK = "express-portico";

/** Our messages among others' on the same channel. */
export function mark<T extends FromWorker | FromPrimary>(message: T): object {
  return { [MARK]: message };
}

export function unmark<T extends FromWorker | FromPrimary>(message: unknown): T | undefined {
  if (typeof message !== "object" || message === null) return undefined;
  return (message as { [MARK]?: T })[MARK];
}
