/** Stands in every app of the tables: a check that runs a handler fails. */
export function never(): never {
  throw new Error("A check has run a handler.");
}
