import type { IncomingMessage, ServerResponse } from "node:http";
import type { Request, Response } from "express";
import { stderrLogger } from "../lib/log/stderr-logger.js";
import { describeThrown, isThenable } from "../lib/values/thrown.js";
import type { RequestLogEntry } from "./entry.js";
import { LEVELS, type Level } from "./level.js";

/**
 * Calls the callbacks of the options and reports their faults, once for each option: a callback that fails usually
 * fails for every request. The requests go on.
 */
export class Callbacks {
  readonly #reported = new Set<string>();

  /** The callback's result as a boolean; false if it throws or returns a promise. */
  ask(
    option: "ignore" | "skip" | "serverTiming",
    callback: (req: Request, res: Response) => unknown,
    req: IncomingMessage,
    res: ServerResponse,
  ): boolean {
    try {
      const result = callback(req as Request, res as Response);
      if (!isThenable(result)) return Boolean(result);
      this.returned(option, "true or false, not a promise", result);
    } catch (fault) {
      this.threw(option, fault);
    }
    return false;
  }

  /** The level by the option `level`; undefined if it throws or returns no level. */
  askLevel(callback: (entry: RequestLogEntry) => unknown, entry: RequestLogEntry): Level | undefined {
    try {
      const level = callback(entry);
      if (LEVELS.includes(level as Level)) return level as Level;
      this.returned("level", LEVELS.join(", "), level);
    } catch (fault) {
      this.threw("level", fault);
    }
    return undefined;
  }

  threw(option: string, fault: unknown): void {
    this.#report(option, { error: describeThrown(fault) }, "threw");
  }

  /** Nothing here waits for a promise; its rejection must not end the process. */
  returned(option: string, expected: string, value: unknown): void {
    if (isThenable(value)) value.then(undefined, () => {});
    const received = value === null ? "null" : typeof value;
    this.#report(option, { expected, received }, "returned something else");
  }

  #report(option: string, fields: object, what: string): void {
    if (this.#reported.has(option)) return;
    this.#reported.add(option);
    stderrLogger.warn(
      fields,
      `requestLog: the option ${option} ${what} (reported once; requests are not affected)`,
    );
  }
}
