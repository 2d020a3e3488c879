/** Whether a callback's result must be waited for. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === "object" && value !== null && typeof (value as PromiseLike<unknown>).then === "function"
  );
}

/** A promise where a plain value was asked for: it is not waited for, and its rejection must not end the process. */
export function disregard(value: unknown): void {
  if (isThenable(value)) value.then(undefined, () => {});
}
