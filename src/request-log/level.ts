import type { Logger } from "../lib/log/logger.js";

export type Level = keyof Logger;
export const LEVELS = ["debug", "info", "warn", "error"] as const satisfies readonly Level[];

interface ResponseEnding {
  readonly status: number;
  readonly aborted: boolean;
  readonly failed: boolean;
  readonly preflight: boolean;
}

/**
 * The level by the importance for the operators of the server: its own failures are errors, a client's mistakes are
 * warnings. Clients that left, rate limits and preflights are normal.
 */
export function levelFor({ status, aborted, failed, preflight }: ResponseEnding): Level {
  if (aborted) return status >= 500 ? "error" : "info";
  if (status >= 500 || (failed && status < 400)) return "error";
  if (status === 429) return "info";
  if (status >= 400) return "warn";
  return preflight ? "debug" : "info";
}

export function atLeastWarn(level: Level): Level {
  return level === "error" ? level : "warn";
}
