import { type CallOptions, checkCall, checkOptions, type OffloadOptions } from "./options.js";
import { Pool } from "./pool.js";

export type { OffloadOptions } from "./options.js";

/** Runs the module's default export on a thread and returns its result. */
export type Offload<Input = unknown, Output = unknown> = (
  input: Input,
  options?: CallOptions,
) => Promise<Output>;

/**
 * Runs CPU-bound work on other cores, so that the event loop stays free for other requests: the default export of
 * `file` is called with the input on a worker thread, and its result or error is returned. Needs the package `piscina`
 * (version 5), which is loaded with the first task, as the threads are started.
 *
 * Make it once, when the app starts, and call it in a handler. Input and result are copied (structured clone). If the
 * queue is full or a task takes too long, the call rejects with an error that `recover` answers with 503 and
 * `Retry-After`. A thread that dies fails only its own task, and is replaced.
 *
 * @example
 * const render = offload(new URL("./render.js", import.meta.url));
 * app.get("/report", async (req, res) => {
 *   res.send(await render(req.query, { signal: contextOf(req).signal }));
 * });
 *
 * @example
 * const hash = offload<string, string>(new URL("./hash.js", import.meta.url), {
 *   threads: 4,
 *   maxQueue: 50,
 *   timeoutMs: 2_000,
 * });
 *
 * @param file a module: a `file:` URL or an absolute path, or a `data:text/javascript,` URL for a function of a few
 * lines
 * @throws {ConfigError} names all problems of the file and the options at once; a call rejects with one if the call's
 * own options are wrong
 * @see docs/offload.md, and the structured clone algorithm: https://html.spec.whatwg.org/multipage/structured-data.html
 */
export function offload<Input = unknown, Output = unknown>(
  file: URL | string,
  options?: OffloadOptions,
): Offload<Input, Output> {
  const pool = new Pool(checkOptions(file, options));

  return async function offloaded(input, callOptions) {
    return pool.run(input, checkCall(callOptions)) as Promise<Output>;
  };
}
