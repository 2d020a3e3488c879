import { stderrLogger } from "../lib/log/stderr-logger.js";
import { describeThrown, isThenable } from "../lib/values/thrown.js";

/**
 * Reports faults of the callbacks in the options, once for each option: a callback that fails usually fails for every
 * request. The requests go on.
 */
export class FaultReport {
  readonly #told = new Set<string>();

  threw(option: string, fault: unknown): void {
    this.#tell(option, { error: describeThrown(fault) }, "threw");
  }

  /** Nothing here waits for a promise; its rejection must not end the process. */
  returned(option: string, expected: string, value: unknown): void {
    if (isThenable(value)) value.then(undefined, () => {});
    this.#tell(
      option,
      { expected, received: value === null ? "null" : typeof value },
      "returned something else",
    );
  }

  #tell(option: string, fields: object, what: string): void {
    if (this.#told.has(option)) return;
    this.#told.add(option);
    stderrLogger.warn(
      fields,
      `requestLog: the option ${option} ${what} (told once; requests are not affected)`,
    );
  }
}
