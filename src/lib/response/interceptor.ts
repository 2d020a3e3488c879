export type Chunk = string | Uint8Array;
export type WriteCallback = (error?: Error | null) => void;

/** Stands between the app and the response: it gets the head and the body, and passes on what it wants. */
export interface Interceptor {
  /**
   * The app begins its answer: all its headers are set on the response, and the inner interceptors have run. `whole` is
   * the length of the body in bytes, if the app sends all of it at once. The interceptor writes the head, now or later,
   * with `outer.writeHead`. If Node refuses that head, this is called again with the app's next one.
   */
  onHead(status: number, reason: string | undefined, whole: number | undefined): void;
  /** As `res.write`: false asks the app to wait for 'drain'. */
  onData(chunk: Chunk, encoding: BufferEncoding | undefined, callback: WriteCallback | undefined): boolean;
  onEnd(
    chunk: Chunk | undefined,
    encoding: BufferEncoding | undefined,
    callback: WriteCallback | undefined,
  ): void;
  /** The app wants all that it has written to be sent now. */
  onFlush(): void;
  /**
   * The outer side takes more, after an `outer.write` that returned false. An interceptor that has this method decides
   * itself, with `outer.drain`, when the app may go on; without it, a 'drain' event passes through.
   */
  onDrain?(): void;
  /** Another answer replaces this one. */
  discard?(): void;
}

/** The outer side of an interceptor. Its methods do nothing once an outer middleware has sent another answer. */
export interface Outer {
  /** `prepare` runs before the outer hooks, and may still change the headers. */
  writeHead(status: number, reason?: string, prepare?: () => void): void;
  write(chunk: Chunk, encoding?: BufferEncoding, callback?: WriteCallback): boolean;
  end(chunk?: Chunk, encoding?: BufferEncoding, callback?: WriteCallback): void;
  /** Sends the head, if it was written and nothing came after it. */
  flushHeaders(): void;
  /** Emits 'drain' to the app, if its last `write` returned false. */
  drain(): void;
  /** Writes the head and leaves: the app's body is not intercepted. Only from within `onHead`. */
  stepAside(status: number, reason?: string): void;
}
