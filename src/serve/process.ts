import type { Logger } from "../lib/log/logger.js";
import { stderrLogger } from "../lib/log/stderr-logger.js";
import { unwatchLongLived, watchLongLived } from "../lib/request/long-lived.js";
import { describeThrown } from "../lib/values/thrown.js";
import type { CloseReport } from "./close.js";
import { handOver } from "./owner.js";

/** A server that closes at the process's signals and uncaught errors. */
export interface Participant {
  /** Its address, for the log. */
  readonly url: string;
  readonly signals: readonly NodeJS.Signals[];
  readonly onUncaught: "drain" | false;
  readonly logger: Logger;
  close(cause?: Cause): Promise<CloseReport>;
  /** The process ends now: kill the workers, and remove the file of a Unix socket. */
  abandon(): void;
}

interface Cause {
  readonly error: unknown;
}

// One record for the process, shared by all its servers and all installed copies of this package: a signal or an
// uncaught error closes all servers, and then the process exits once.
interface Shared {
  readonly participants: Set<Participant>;
  readonly listened: Map<NodeJS.Signals, () => void>;
  /** Our listener of uncaught errors, while there is one. */
  watch: ((error: unknown, origin: string) => void) | undefined;
  /** The logger of the first server; kept when all servers have closed. */
  logger: Logger;
  /** When the first signal came (`performance.now()`). */
  signalledMs: number | undefined;
  /** Set after a signal or an uncaught error (its `cause`): the process is about to end. */
  ending: { cause: Cause | undefined } | undefined;
  /** The servers that close because of that. */
  readonly closing: Map<Participant, Promise<CloseReport>>;
  /** Pending while they close. */
  waiting: Promise<void> | undefined;
  lastResort: NodeJS.Timeout | undefined;
  /** In a worker: fulfilled when the primary has released it. */
  farewell: (() => Promise<void>) | undefined;
}

const KEY = Symbol.for("express-portico/process/1");

function shared(): Shared {
  return ((globalThis as { [KEY]?: Shared })[KEY] ??= {
    participants: new Set(),
    listened: new Map(),
    watch: undefined,
    logger: stderrLogger,
    signalledMs: undefined,
    ending: undefined,
    closing: new Map(),
    waiting: undefined,
    lastResort: undefined,
    farewell: undefined,
  });
}

/** Adds a server to the process's signals and uncaught errors. Returns a function that removes it. */
export function join(participant: Participant): () => void {
  const { participants, ending } = shared();
  participants.add(participant);
  adjust();
  // The program was still starting when the signal or the error came.
  if (ending !== undefined) queueMicrotask(() => end(ending.cause));
  return () => {
    participants.delete(participant);
    adjust();
  };
}

/** Adds and removes process listeners, so that there are exactly those that the participants need. */
function adjust(): void {
  const state = shared();
  const all = [...state.participants];
  if (state.ending === undefined) state.logger = all[0]?.logger ?? stderrLogger;
  const wanted = new Set(all.flatMap(({ signals }) => signals));
  for (const signal of wanted) {
    if (state.listened.has(signal)) continue;
    const listener = () => onSignal(signal);
    state.listened.set(signal, listener);
    process.on(signal, listener);
  }
  for (const [signal, listener] of state.listened) {
    if (wanted.has(signal) || state.ending !== undefined) continue; // keep listening until the process ends
    state.listened.delete(signal);
    process.removeListener(signal, listener);
  }
  const needsErrors = all.some(({ onUncaught }) => onUncaught === "drain");
  if (needsErrors && state.watch === undefined) {
    watchLongLived();
    state.watch = onUncaught;
    process.on("uncaughtException", onUncaught);
  } else if (!needsErrors && state.watch !== undefined && state.ending === undefined) {
    process.removeListener("uncaughtException", state.watch);
    unwatchLongLived();
    state.watch = undefined;
  }
}

/** One Ctrl-C arrives twice within milliseconds: from the terminal, and from a watcher such as nodemon. */
const SAME_SIGNAL_MS = 1_000;

function onSignal(signal: NodeJS.Signals): void {
  const state = shared();
  if (state.signalledMs !== undefined) {
    if (performance.now() - state.signalledMs < SAME_SIGNAL_MS) return;
    for (const participant of state.participants) {
      try {
        participant.abandon();
      } catch {
        // The process must end in any case.
      }
    }
    const { signals } = process.getBuiltinModule("node:os").constants;
    process.exit(128 + signals[signal]);
  }
  state.signalledMs = performance.now();
  if (state.farewell === undefined) {
    state.logger.info({ signal }, "closing; another signal, from a second on, ends the process at once");
  }
  end(undefined);
}

/** Node says that it is not safe to continue after such an error: requests under way finish, then the process ends. */
function onUncaught(error: unknown, origin: string): void {
  // An error thrown here would end the process at once.
  try {
    handOver(error, origin, shared().logger);
  } catch (fault) {
    stderrLogger.error({ error: describeThrown(fault) }, "an uncaught error could not be handled");
    stderrLogger.error({ error: describeThrown(error) }, "the uncaught error");
  }
  end({ error });
}

function end(cause: Cause | undefined): void {
  const state = shared();
  const isFirst = state.ending === undefined;
  if (cause !== undefined) process.exitCode = 1;
  state.ending ??= { cause };
  state.ending.cause ??= cause;
  // Servers with `signals: false` or `onUncaught: false` close too: the process will end, and with it their requests.
  for (const one of state.participants) state.closing.set(one, one.close(cause));
  if (isFirst || state.closing.size > 0) state.waiting ??= allClosed(); // otherwise the process already exits
}

async function allClosed(): Promise<void> {
  const state = shared();
  clearTimeout(state.lastResort);
  let reports: (CloseReport & { readonly url: string })[];
  do {
    reports = await Promise.all(
      [...state.closing].map(async ([{ url }, report]) => ({ ...(await report), url })),
    );
  } while (reports.length < state.closing.size); // another server was added meanwhile
  state.closing.clear();
  state.waiting = undefined;
  const failed = process.exitCode === 1 || reports.some((report) => report.forced || "error" in report);
  if (state.farewell === undefined || failed) {
    for (const { error: _, ...report } of reports) {
      state.logger.info(report, report.forced ? "closed by force" : "closed"); // the error was logged when it came
    }
  }
  await exit(failed ? 1 : 0);
}

/** This process is a worker. */
export function beLed(farewell: () => Promise<void>): void {
  shared().farewell = farewell;
}

/** Closes all servers of this process and ends it, as a signal does. */
export function endAll(): void {
  end(undefined);
}

/**
 * Lets the process end by itself, once its output is written and code that awaits `closed` has cleaned up (a pool of
 * database connections). Ends it by force after a second if something keeps it alive.
 */
export async function exit(code: number): Promise<void> {
  const state = shared();
  const { farewell } = state;
  if (code !== 0) process.exitCode = code;
  else process.exitCode ??= 0; // a failure code that the program has set stays
  await farewell?.();
  await new Promise(setImmediate); // log lines of this turn are written first
  if (state.waiting !== undefined) return; // a server was added meanwhile
  if (farewell !== undefined && process.connected) process.disconnect();
  clearTimeout(state.lastResort);
  state.lastResort = setTimeout(() => process.exit(), EXIT_GRACE_MS).unref();
}

const EXIT_GRACE_MS = 1_000;
