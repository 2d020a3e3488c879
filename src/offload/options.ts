import { Checker, isBag } from "../lib/config/checker.js";
import { refuseRequest } from "../lib/config/not-called.js";
import { hrefOf } from "../lib/http/target.js";

export interface OffloadOptions {
  /**
   * How many tasks run at the same time, each on its own thread: 1 to 1,024.
   *
   * @defaultValue one less than the number of cores, at least 1
   */
  readonly threads?: number | undefined;
  /**
   * How many tasks may wait for a thread, 0 for none. More are refused with 503.
   *
   * @defaultValue 100 for each thread
   */
  readonly maxQueue?: number | undefined;
  /**
   * How many milliseconds a task may run, up to a day; then its thread is ended and the call rejects with 503. Waiting
   * for a thread, its start, and the first loading of the module are not counted.
   *
   * @defaultValue 30000
   */
  readonly timeoutMs?: number | undefined;
}

export interface OffloadPlan {
  /** Imported by the threads. */
  readonly href: string;
  /** Shown in messages. */
  readonly file: string;
  readonly threads: number;
  readonly maxQueue: number;
  readonly timeoutMs: number;
}

const KNOWN = ["threads", "maxQueue", "timeoutMs"] as const satisfies (keyof OffloadOptions)[];
const WAITING_PER_THREAD = 100;
const DAY_MS = 86_400_000;

export function checkOptions(given: unknown, options: OffloadOptions | undefined): OffloadPlan {
  refuseRequest("offload()", given);
  const checker = Checker.of("offload()", options, KNOWN);
  const module = checkModule(checker, given);
  const threads = checker.integer("threads", { min: 1, max: 1_024 }, spareCores());
  const plan: OffloadPlan = {
    ...module,
    threads,
    maxQueue: checker.integer("maxQueue", { min: 0, max: 1_000_000 }, threads * WAITING_PER_THREAD),
    timeoutMs: checker.integer("timeoutMs", { min: 1, max: DAY_MS, unit: "milliseconds" }, 30_000),
  };
  checker.done();
  return plan;
}

/** One core is left for the event loop. */
function spareCores(): number {
  return Math.max(1, process.getBuiltinModule("node:os").availableParallelism() - 1);
}

const FILE_EXPECTED =
  'must be a file: URL or an absolute path, as in offload(new URL("./render.js", import.meta.url))';

function checkModule(checker: Checker, given: unknown): Pick<OffloadPlan, "href" | "file"> {
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
  const subject = "a call of offload()";
  const checker = Checker.of(subject, isSignal(options) ? "a signal" : options, KNOWN_OF_CALL);
  const { signal } = checker.options;
  if (signal !== undefined && !isSignal(signal)) checker.add("signal", "must be an AbortSignal");
  checker.done();
  return signal as AbortSignal | undefined;
}

const KNOWN_OF_CALL = ["signal"] as const satisfies (keyof CallOptions)[];

/** By its members, because an AbortSignal of another realm (in a test runner) is not an instance of ours. */
function isSignal(value: unknown): value is AbortSignal {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof (value as Partial<AbortSignal>).aborted === "boolean" &&
    typeof (value as Partial<AbortSignal>).addEventListener === "function"
  );
}
