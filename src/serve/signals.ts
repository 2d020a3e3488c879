import type { Logger } from "../lib/log/logger.js";
import { stderrLogger } from "../lib/log/stderr-logger.js";
import { unwatchLongLived, watchLongLived } from "../lib/request/long-lived.js";
import { describeThrown } from "../lib/values/thrown.js";
import type { CloseReport } from "./options.js";
import { handleUncaught } from "./uncaught.js";

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
  readonly signalListeners: Map<NodeJS.Signals, () => void>;
  /** Our listener of uncaught errors, while there is one. */
  uncaughtListener: ((error: unknown, origin: string) => void) | undefined;
  /** The logger of the first server; kept when all servers have closed. */
  logger: Logger;
  /** When the first signal came (`performance.now()`). */
  firstSignalAt: number | undefined;
  /** Set after a signal or an uncaught error (its `cause`): the process is about to end. */
  ending: { cause: Cause | undefined } | undefined;
  /** The servers that close because of that. */
  readonly closing: Map<Participant, Promise<CloseReport>>;
  /** Pending while they close. */
  waiting: Promise<void> | undefined;
  exitTimer: NodeJS.Timeout | undefined;
  /** In a worker: fulfilled when the primary has released it. */
  waitForRelease: (() => Promise<void>) | undefined;
}

const KEY = Symbol.for("express-portico/process/2");

function shared(): Shared {
  return ((globalThis as { [KEY]?: Shared })[KEY] ??= {
    participants: new Set(),
    signalListeners: new Map(),
    uncaughtListener: undefined,
    logger: stderrLogger,
    firstSignalAt: undefined,
    ending: undefined,
    closing: new Map(),
    waiting: undefined,
    exitTimer: undefined,
    waitForRelease: undefined,
  });
}

/** Adds a server to the process's signals and uncaught errors. Returns a function that removes it. */
export function addParticipant(participant: Participant): () => void {
  const { participants, ending } = shared();
  participants.add(participant);
  updateListeners();
  // The program was still starting when the signal or the error came.
  if (ending !== undefined) queueMicrotask(() => closeAllFor(ending.cause));
  return () => {
    participants.delete(participant);
    updateListeners();
  };
}

/** Adds and removes process listeners, so that there are exactly those that the participants need. */
function updateListeners(): void {
  const state = shared();
  const all = [...state.participants];
  if (state.ending === undefined) state.logger = all[0]?.logger ?? stderrLogger;
  const wanted = new Set(all.flatMap(({ signals }) => signals));
  for (const signal of wanted) {
    if (state.signalListeners.has(signal)) continue;
    const listener = () => onSignal(signal);
    state.signalListeners.set(signal, listener);
    process.on(signal, listener);
  }
  for (const [signal, listener] of state.signalListeners) {
    if (wanted.has(signal) || state.ending !== undefined) continue; // keep listening until the process ends
    state.signalListeners.delete(signal);
    process.removeListener(signal, listener);
  }
  const needsErrors = all.some(({ onUncaught }) => onUncaught === "drain");
  if (needsErrors && state.uncaughtListener === undefined) {
    watchLongLived();
    state.uncaughtListener = onUncaught;
    process.on("uncaughtException", onUncaught);
  } else if (!needsErrors && state.uncaughtListener !== undefined && state.ending === undefined) {
    process.removeListener("uncaughtException", state.uncaughtListener);
    unwatchLongLived();
    state.uncaughtListener = undefined;
  }
}

/** One Ctrl-C arrives twice within milliseconds: from the terminal, and from a watcher such as nodemon. */
const SAME_SIGNAL_MS = 1_000;

function onSignal(signal: NodeJS.Signals): void {
  const state = shared();
  if (state.firstSignalAt !== undefined) {
    if (performance.now() - state.firstSignalAt < SAME_SIGNAL_MS) return;
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
  state.firstSignalAt = performance.now();
  if (state.waitForRelease === undefined) {
    state.logger.info({ signal }, "closing; another signal, from a second on, ends the process at once");
  }
  closeAllFor(undefined);
}

/** Node says that it is not safe to continue after such an error: requests under way finish, then the process ends. */
function onUncaught(error: unknown, origin: string): void {
  // An error thrown here would end the process at once.
  try {
    handleUncaught(error, origin, shared().logger);
  } catch (handlingError) {
    stderrLogger.error({ error: describeThrown(handlingError) }, "an uncaught error could not be handled");
    stderrLogger.error({ error: describeThrown(error) }, "the uncaught error");
  }
  closeAllFor({ error });
}

function closeAllFor(cause: Cause | undefined): void {
  const state = shared();
  const isFirst = state.ending === undefined;
  if (cause !== undefined) process.exitCode = 1;
  state.ending ??= { cause };
  state.ending.cause ??= cause;
  // Servers with `signals: false` or `onUncaught: false` close too: the process will end, and with it their requests.
  for (const one of state.participants) state.closing.set(one, one.close(cause));
  if (isFirst || state.closing.size > 0) state.waiting ??= exitWhenClosed(); // otherwise the process already exits
}

async function exitWhenClosed(): Promise<void> {
  const state = shared();
  clearTimeout(state.exitTimer);
  let reports: (CloseReport & { readonly url: string })[];
  do {
    reports = await Promise.all(
      [...state.closing].map(async ([{ url }, report]) => ({ ...(await report), url })),
    );
  } while (reports.length < state.closing.size); // another server was added meanwhile
  state.closing.clear();
  state.waiting = undefined;
  const failed = process.exitCode === 1 || reports.some((report) => report.forced || "error" in report);
  if (state.waitForRelease === undefined || failed) {
    for (const { error: _, ...report } of reports) {
      state.logger.info(report, report.forced ? "closed by force" : "closed"); // the error was logged when it came
    }
  }
  await exitWhenDone(failed ? 1 : 0);
}

/** This process is a worker. */
export function runAsWorker(waitForRelease: () => Promise<void>): void {
  shared().waitForRelease = waitForRelease;
}

/** Closes all servers of this process and ends it, as a signal does. */
export function closeAll(): void {
  closeAllFor(undefined);
}

/**
 * Lets the process end by itself, once its output is written and code that awaits `closed` has cleaned up (a pool of
 * database connections). Ends it by force after a second if something keeps it alive.
 */
export async function exitWhenDone(code: number): Promise<void> {
  const state = shared();
  const { waitForRelease } = state;
  if (code !== 0) process.exitCode = code;
  else process.exitCode ??= 0; // a failure code that the program has set stays
  await waitForRelease?.();
  await new Promise(setImmediate); // log lines of this turn are written first
  if (state.waiting !== undefined) return; // a server was added meanwhile
  if (waitForRelease !== undefined && process.connected) process.disconnect();
  clearTimeout(state.exitTimer);
  state.exitTimer = setTimeout(() => process.exit(), EXIT_GRACE_MS).unref();
}

const EXIT_GRACE_MS = 1_000;
