import type { RequestRecord, RequestState, UnloggedError } from "../request/state.js";

/** Leaves an error to the record of its request, if there is one to come for the same logger. Returns whether it did. */
export function leaveToRecord(state: RequestState, error: UnloggedError): boolean {
  if (state.unlogged !== undefined || !hasOpenRecord(state, error.logger)) return false;
  state.unlogged = error;
  return true;
}

/** The error that was left to this record; it is the record's from now on. */
export function takeError(state: RequestState, record: RequestRecord): UnloggedError | undefined {
  const { unlogged } = state;
  if (unlogged === undefined || record.takesErrors !== unlogged.logger) return undefined;
  state.unlogged = undefined;
  return unlogged;
}

/** There will be no such record: an error that was left to it is logged on its own, unless another record takes it. */
export function giveErrorBack(state: RequestState): void {
  const { unlogged } = state;
  if (unlogged === undefined || hasOpenRecord(state, unlogged.logger)) return;
  state.unlogged = undefined;
  unlogged.log();
}

function hasOpenRecord({ log }: RequestState, logger: object): boolean {
  for (let record = log; record !== undefined; record = record.other) {
    if (record.isOpen && record.takesErrors === logger) return true;
  }
  return false;
}
