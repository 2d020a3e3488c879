import { type Checker, isBag } from "../lib/config/checker.js";
import { refuseRequest } from "../lib/config/not-called.js";
import { integer, readOptions, type SchemaOf, valid } from "../lib/config/schema.js";
import { hrefOf } from "../lib/http/target.js";

export interface OffloadOptions {
  /**
   * How many tasks run at the same time, each on its own thread: 1 to 1,024.
   * @defaultValue cores - 1, at least 1
   */
  readonly threads?: number | undefined;
  /** How many tasks may wait for a thread, 0 for none; more are refused with 503. @defaultValue 100 × `threads` */
  readonly maxQueue?: number | undefined;
  /**
   * How many milliseconds a task may run, up to a day; then its thread is ended and the call rejects with 503. Waiting
   * for a thread, its start, and the first loading of the module are not counted. @defaultValue `30_000`
   */
  readonly timeoutMs?: number | undefined;
}

const WAITING_PER_THREAD = 100;
const DAY_MS = 86_400_000;

export const OPTIONS = () =>
  ({
    threads: integer({ min: 1, max: 1_024 }, spareCores()),
    maxQueue: integer({ min: 0, max: 1_000_000 }),
    timeoutMs: integer({ min: 1, max: DAY_MS, unit: "milliseconds" }, 30_000),
  }) satisfies SchemaOf<OffloadOptions>;

export type OffloadPlan = ReturnType<typeof checkOptions>;

export function checkOptions(given: unknown, options: OffloadOptions | undefined) {
  refuseRequest("offload()", given);
  const { checker, plan } = readOptions("offload()", OPTIONS, options);
  const maxQueue = plan.maxQueue ?? plan.threads * WAITING_PER_THREAD;
  return checker.done({ ...checkModule(checker, given), ...plan, maxQueue });
}

/** One core is left for the event loop. */
function spareCores(): number {
  return Math.max(1, process.getBuiltinModule("node:os").availableParallelism() - 1);
}

const FILE_EXPECTED =
  'must be a file: URL or an absolute path, as in offload(new URL("./render.js", import.meta.url))';

/** `href` is imported by the threads, `file` is shown in messages. */
function checkModule(checker: Checker, given: unknown): { readonly href: string; readonly file: string } {
  const { href, problem } = locateModule(given);
  if (problem !== undefined) checker.add("file", problem, given);
  return { href, file: href.startsWith("data:") ? "the data: URL" : pathOfUrl(href) };
}

function locateModule(given: unknown): { href: string; problem?: string } {
  const text = hrefOf(given);
  if (text === undefined || text === "") return { href: "", problem: FILE_EXPECTED };
  if (/^data:/i.test(text)) {
    const isScript = /^data:text\/javascript[;,]/i.test(text);
    return { href: text, ...(!isScript && { problem: "a data: URL must begin with data:text/javascript," }) };
  }
  const { isAbsolute } = process.getBuiltinModule("node:path");
  const { pathToFileURL } = process.getBuiltinModule("node:url");
  const href = isAbsolute(text) ? pathToFileURL(text).href : text;
  if (!/^file:/i.test(href)) return { href: "", problem: FILE_EXPECTED };
  const path = pathOfUrl(href);
  if (path === "") return { href, problem: FILE_EXPECTED };
  const stat = process.getBuiltinModule("node:fs").statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return { href, problem: `there is no file ${path}` };
  return { href, ...(!stat.isFile() && { problem: `${path} is not a file` }) };
}

/** The path of a file: URL, empty if it has none here (a URL with a host, or with `%2F` in it). */
function pathOfUrl(href: string): string {
  try {
    return process.getBuiltinModule("node:url").fileURLToPath(href);
  } catch {
    return "";
  }
}

export interface CallOptions {
  /** Ends the task when it aborts: `contextOf(req).signal` aborts when the client leaves. */
  readonly signal?: AbortSignal | undefined;
}

/** The signal of one call. Correct options take a fast path, because this runs for each task. */
export function checkCall(options: CallOptions | undefined): AbortSignal | undefined {
  if (options === undefined) return undefined;
  if (isBag(options) && isSignal(options.signal)) {
    const names = Object.keys(options);
    if (names.length === 1 && names[0] === "signal") return options.signal;
  }
  const call = isSignal(options) ? "a signal" : options;
  const { checker, plan } = readOptions("a call of offload()", CALL_OPTIONS, call);
  return checker.done(plan).signal;
}

const CALL_OPTIONS = () =>
  ({ signal: valid(isSignal, "must be an AbortSignal") }) satisfies SchemaOf<CallOptions>;

/** By its members, because an AbortSignal of another realm (in a test runner) is not an instance of ours. */
function isSignal(value: unknown): value is AbortSignal {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof (value as Partial<AbortSignal>).aborted === "boolean" &&
    typeof (value as Partial<AbortSignal>).addEventListener === "function"
  );
}
