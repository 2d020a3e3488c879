import type { Facts, RequestRecord, UnloggedError } from "../request/state.js";

/** Leaves an error to the record of its request, if there is one to come for the same logger. Returns whether it did. */
export function leaveToRecord(facts: Facts, error: UnloggedError): boolean {
  if (facts.unlogged !== undefined || !hasOpenRecord(facts, error.logger)) return false;
  facts.unlogged = error;
  return true;
}

/** The error that was left to this record; it is the record's from now on. */
export function takeError(facts: Facts, record: RequestRecord): UnloggedError | undefined {
  const { unlogged } = facts;
  if (unlogged === undefined || record.takesErrors !== unlogged.logger) return undefined;
  facts.unlogged = undefined;
  return unlogged;
}

/** There will be no such record: an error that was left to it is logged on its own, unless another record takes it. */
export function giveErrorBack(facts: Facts): void {
  const { unlogged } = facts;
  if (unlogged === undefined || hasOpenRecord(facts, unlogged.logger)) return;
  facts.unlogged = undefined;
  unlogged.log();
}

function hasOpenRecord({ log }: Facts, logger: object): boolean {
  for (let record = log; record !== undefined; record = record.other) {
    if (record.isOpen && record.takesErrors === logger) return true;
  }
  return false;
}
