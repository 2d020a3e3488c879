import type { RequestRecord, RequestState, UnloggedError } from "../request/state.js";

/** Leaves an error to its request's log record, if the same logger will write one. Returns whether it did. */
export function leaveToRecord(state: RequestState, error: UnloggedError): boolean {
  if (state.unlogged !== undefined || !hasOpenRecord(state, error.logger)) return false;
  state.unlogged = error;
  return true;
}

/** Takes the error that was left to this record. */
export function takeError(state: RequestState, record: RequestRecord): UnloggedError | undefined {
  const { unlogged } = state;
  if (unlogged === undefined || record.takesErrors !== unlogged.logger) return undefined;
  state.unlogged = undefined;
  return unlogged;
}

/** To be called if the record is not written: the error is logged on its own, unless another record takes it. */
export function releaseError(state: RequestState): void {
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
