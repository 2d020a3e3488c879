import type { Logger } from "../../src/lib/log/logger.js";

export interface Logged {
  readonly level: keyof Logger;
  // biome-ignore lint/suspicious/noExplicitAny: tests read any property of what was logged
  readonly fields: any;
  readonly message: string;
}

/** A logger that keeps its records. */
export function memoryLogger(): Logger & { readonly entries: Logged[] } {
  const entries: Logged[] = [];
  const at = (level: keyof Logger) => (fields: object, message: string) => {
    entries.push({ level, fields, message });
  };
  return { entries, debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
