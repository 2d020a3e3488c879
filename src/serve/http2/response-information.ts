import type { Http2ServerResponse } from "node:http2";
import type { Response } from "./response.js";
import { isForbidden } from "./response-headers.js";
import { isGone } from "./stream.js";

type Callback = () => void;
type PushCallback = (error: Error | null, pushed?: Http2ServerResponse) => void;

/** Interim responses, trailers and pushes as on HTTP/1.1: with callbacks, and without what HTTP/2 forbids. */
export function informationMembers(prototype: Http2ServerResponse) {
  const { writeContinue, writeEarlyHints, writeInformation, createPushResponse, setTrailer } =
    prototype as unknown as Response;
  return {
    ...(writeInformation !== undefined && {
      writeInformation(this: Response, ...args: Parameters<NonNullable<typeof writeInformation>>) {
        return callBack(!isGone(this.stream) && writeInformation.apply(this, args), args.at(-1) as Callback);
      },
    }),

    writeContinue(callback?: Callback) {
      return callBack(!isGone(this.stream) && writeContinue.call(this), callback);
    },

    writeProcessing(callback?: Callback) {
      const { stream } = this;
      const isTooLate = this.headersSent || isGone(stream);
      if (!isTooLate) stream.additionalHeaders({ ":status": 102 });
      return callBack(!isTooLate, callback);
    },

    writeEarlyHints(hints: Record<string, string | string[]>, callback?: Callback) {
      if (isGone(this.stream)) return callBack(false, callback);
      const allowed = Object.entries(hints ?? {}).filter(([name, value]) => !isForbidden(name, value));
      return callBack(writeEarlyHints.call(this, Object.fromEntries(allowed)), callback);
    },

    createPushResponse(headers: object, callback: PushCallback) {
      push(this, createPushResponse, headers, callback);
    },

    setTrailer(name: string, value: string) {
      if (!isForbidden(name, value)) setTrailer.call(this, name, value);
    },

    addTrailers(headers: unknown) {
      const pairs = Array.isArray(headers) ? headers : Object.entries(headers as object);
      for (const [name, value] of pairs) this.setTrailer(name, value);
    },
  } as Partial<Response> & ThisType<Response>;
}

/**
 * Passes all errors of a push to its callback: a client may refuse pushes at any time. If it resets one, the pushed stream
 * emits 'error', which would be uncaught.
 */
export function push<This>(
  res: This,
  create: (this: This, headers: object, callback: PushCallback) => void,
  headers: object,
  callback: PushCallback,
): void {
  if (typeof callback !== "function") throw new TypeError("createPushResponse needs a callback");
  try {
    create.call(res, headers, (error, pushed) => {
      pushed?.stream.on("error", () => {});
      callback(error, pushed);
    });
  } catch (error) {
    process.nextTick(callback, error as Error);
  }
}

function callBack(isSent: unknown, callback: Callback | undefined): boolean {
  if (typeof callback === "function") process.nextTick(callback);
  return isSent !== false;
}
