import { OffloadError, resultNotCloneable } from "./errors.js";

/** An error as a thread sends it: only values that can be copied. */
export interface DescribedError {
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
