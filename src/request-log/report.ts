import { stderrLogger } from "../lib/log/stderr-logger.js";
import { describeThrown, isThenable } from "../lib/values/thrown.js";

/**
 * Reports faults of the callbacks in the options, once for each option: a callback that fails usually fails for every
 * request. The requests go on.
 */
export class CallbackFaults {
  readonly #reported = new Set<string>();

  threw(option: string, fault: unknown): void {
    this.#report(option, { error: describeThrown(fault) }, "threw");
  }

  /** Nothing here waits for a promise; its rejection must not end the process. */
  returned(option: string, expected: string, value: unknown): void {
    if (isThenable(value)) value.then(undefined, () => {});
    this.#report(
      option,
      { expected, received: value === null ? "null" : typeof value },
      "returned something else",
    );
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
