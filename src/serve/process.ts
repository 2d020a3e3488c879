import { unwatchLongLived, watchLongLived } from "../context/long-lived.js";
import type { Logger } from "../lib/log/logger.js";
import { stderrLogger } from "../lib/log/stderr-logger.js";
import { describeThrown } from "../lib/values/thrown.js";
import type { CloseReport } from "./close.js";
import { handOver } from "./owner.js";

/** A server that takes part in the process's signals and errors. */
export interface Participant {
  /** Where it listens: of several servers, the log says which has closed. */
  readonly url: string;
  readonly signals: readonly NodeJS.Signals[];
  readonly onUncaught: "drain" | false;
  readonly logger: Logger;
  close(cause?: Cause): Promise<CloseReport>;
  /** The process ends now: what would outlive it goes (its workers, the file of a Unix socket). */
  abandon(): void;
}

interface Cause {
  readonly error: unknown;
}

// The process is one, whatever the number of its servers, and of installed copies of this package: a signal or an
// uncaught error closes all of them, and one exit ends them.
interface Shared {
  readonly participants: Set<Participant>;
  readonly listened: Map<NodeJS.Signals, () => void>;
  /** Our listener of uncaught errors, while there is one. */
  watch: ((error: unknown, origin: string) => void) | undefined;
  /** Stands for the servers, also when all of them have closed. */
  logger: Logger;
  /** When the first signal came, on the monotonic clock. */
  signalledMs: number | undefined;
  /** A signal or an uncaught error has come, the latter as its cause: the process is about to end. */
  ending: { cause: Cause | undefined } | undefined;
  /** The servers that close for that reason. */
  readonly closing: Map<Participant, Promise<CloseReport>>;
  /** While they do. */
  waiting: Promise<void> | undefined;
  lastResort: NodeJS.Timeout | undefined;
  /** In a worker: its primary speaks for it, and lets it go. */
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

/** Listens to the process for this server; the function that is returned takes back what nobody else needs. */
export function join(participant: Participant): () => void {
  const { participants, ending } = shared();
  participants.add(participant);
  adjust();
  // It came too late to hear of it: a program that was still starting.
  if (ending !== undefined) queueMicrotask(() => end(ending.cause));
  return () => {
    participants.delete(participant);
    adjust();
  };
}

/** Has exactly the listeners that the participants need. */
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
    if (wanted.has(signal) || state.ending !== undefined) continue; // about to end, it must listen until then
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

/** One Ctrl-C arrives twice within milliseconds: from the terminal, and from a program that watches this one. */
const SAME_SIGNAL_MS = 1_000;

function onSignal(signal: NodeJS.Signals): void {
  const state = shared();
  if (state.signalledMs !== undefined) {
    if (performance.now() - state.signalledMs < SAME_SIGNAL_MS) return;
    for (const participant of state.participants) {
      try {
        participant.abandon();
      } catch {
        // Nothing is to stand in the way of the end.
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

/** Node says that it is not safe to go on after such an error: what is under way is finished, and the process ends. */
function onUncaught(error: unknown, origin: string): void {
  // To throw here would end the process on the spot.
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
  // A server that did not ask for it closes too: the process, and with it all that is under way there, will end.
  for (const one of state.participants) state.closing.set(one, one.close(cause));
  if (isFirst || state.closing.size > 0) state.waiting ??= allClosed(); // else it is about to end as it is
}

async function allClosed(): Promise<void> {
  const state = shared();
  clearTimeout(state.lastResort);
  let reports: (CloseReport & { readonly url: string })[];
  do {
    reports = await Promise.all(
      [...state.closing].map(async ([{ url }, report]) => ({ ...(await report), url })),
    );
  } while (reports.length < state.closing.size); // another one has come meanwhile
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
 * Ends the process: by itself, once its output has gone and whoever waits for `closed` has put their things away (a
 * pool of database connections); by force if something keeps it alive.
 */
export async function exit(code: number): Promise<void> {
  const state = shared();
  const { farewell } = state;
  if (code !== 0) process.exitCode = code;
  else process.exitCode ??= 0; // a failure that the program has noted itself stands
  await farewell?.();
  await new Promise(setImmediate); // the log's lines of this turn
  if (state.waiting !== undefined) return; // for a server that has come meanwhile
  if (farewell !== undefined && process.connected) process.disconnect();
  clearTimeout(state.lastResort);
  state.lastResort = setTimeout(() => process.exit(), EXIT_GRACE_MS).unref();
}

const EXIT_GRACE_MS = 1_000;
