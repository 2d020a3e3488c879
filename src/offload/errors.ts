import { describeThrown } from "../lib/values/thrown.js";

/** Failures of a task other than its own errors. */
type OffloadErrorCode =
  | "ERR_OFFLOAD_QUEUE_FULL"
  | "ERR_OFFLOAD_TIMEOUT"
  | "ERR_OFFLOAD_WORKER_DIED"
  | "ERR_OFFLOAD_INPUT"
  | "ERR_OFFLOAD_RESULT"
  | "ERR_OFFLOAD_MODULE"
  | "ERR_OFFLOAD_PISCINA";

export class OffloadError extends Error {
  override name = "OffloadError";

  constructor(
    readonly code: OffloadErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(`offload: ${message}`, options);
  }
}

export function queueFull(file: string, maxQueue: number): OffloadError {
  const waiting = maxQueue === 1 ? "1 task is" : `${maxQueue} tasks are`;
  const message = `all threads for ${file} are busy, and ${maxQueue === 0 ? "no task may wait" : `${waiting} waiting`}`;
  return unavailable("ERR_OFFLOAD_QUEUE_FULL", message, 1);
}

export function timedOut(file: string, timeoutMs: number): OffloadError {
  const message = `the task of ${file} took more than ${timeoutMs} ms and was ended`;
  // A retry would take as long again.
  return unavailable("ERR_OFFLOAD_TIMEOUT", message, Math.ceil(timeoutMs / 1_000));
}

export function workerDied(file: string, cause: unknown): OffloadError {
  const message = `the thread of ${file} ended before it answered: ${describeThrown(cause).message}`;
  return new OffloadError("ERR_OFFLOAD_WORKER_DIED", message, { cause });
}

export function inputNotCloneable(cause: unknown): OffloadError {
  return notCloneable("ERR_OFFLOAD_INPUT", "the input", cause);
}

function resultNotCloneable(file: string, cause: unknown): OffloadError {
  return notCloneable("ERR_OFFLOAD_RESULT", `the result of ${file}`, cause);
}

/** An error that `recover` answers with 503 and `Retry-After`. */
function unavailable(code: OffloadErrorCode, message: string, seconds: number): OffloadError {
  return Object.assign(new OffloadError(code, message), {
    status: 503,
    headers: { "Retry-After": String(seconds) },
  });
}

const HINT = "Pass plain data: no functions, no request, no response, no open file or socket.";

function notCloneable(code: OffloadErrorCode, what: string, cause: unknown): OffloadError {
  const message = `${what} cannot be copied to another thread: ${describeThrown(cause).message}. ${HINT}`;
  const error = new OffloadError(code, message, { cause });
  error.name = "DataCloneError";
  return error;
}

/** An error as a thread sends it: only values that can be copied. */
interface DescribedError {
  readonly name?: string;
  readonly message: string;
  readonly stack?: string;
  readonly code?: string;
  readonly status?: number;
  readonly expose?: boolean;
  readonly cause?: DescribedError;
}

/** The reply of a thread; worker.cjs writes it. */
export type Reply =
  | { readonly kind: "result"; readonly result: unknown }
  | { readonly kind: "threw"; readonly error: DescribedError }
  | { readonly kind: "not-cloneable"; readonly error: DescribedError }
  | { readonly kind: "no-function" };

/** The error for the caller if the reply is not a result. */
export function errorOfReply(reply: Exclude<Reply, { kind: "result" }>, file: string): Error {
  switch (reply.kind) {
    case "threw":
      return rebuildError(reply.error);
    case "not-cloneable":
      return resultNotCloneable(file, rebuildError(reply.error));
    case "no-function":
      return new OffloadError(
        "ERR_OFFLOAD_MODULE",
        `${file} has no default export that is a function: export default function (input) { … }`,
      );
  }
}

/** An Error of this thread, with the name and the stack of the error that was thrown on the other one. */
function rebuildError({ name, message, stack, cause, ...rest }: DescribedError): Error {
  const error = new Error(message, cause === undefined ? undefined : { cause: rebuildError(cause) });
  const hidden = { name, stack };
  for (const [key, value] of Object.entries(hidden)) {
    if (value !== undefined) Object.defineProperty(error, key, { value, writable: true, configurable: true });
  }
  for (const [key, value] of Object.entries(rest)) {
    if (value !== undefined) Object.assign(error, { [key]: value });
  }
  return error;
}
