import type { Logger } from "../config/logger.js";
import { stderrLogger } from "../config/stderr-logger.js";
import { describeThrown } from "../http/thrown.js";
import type { CloseReport } from "./close.js";
import { handOver } from "./owner.js";

/** A server that takes part in the process's signals and errors. */
export interface Participant {
  readonly signals: readonly NodeJS.Signals[];
  readonly onUncaught: "drain" | false;
  readonly logger: Logger;
  close(cause?: { readonly error: unknown }): Promise<CloseReport>;
}

// The process is one, whatever the number of its servers: a signal closes all of them, and one exit ends them.
const participants = new Set<Participant>();
const listened = new Map<NodeJS.Signals, () => void>();
let watchesErrors = false;
let ending: Promise<void> | undefined;

/** Listens to the process for this server; the function that is returned takes back what nobody else needs. */
export function join(participant: Participant): () => void {
  participants.add(participant);
  adjust();
  return () => {
    participants.delete(participant);
    if (ending === undefined) adjust(); // else the process is about to end, and must hear a second signal until then
  };
}

/** Has exactly the listeners that the participants need. */
function adjust(): void {
  const all = [...participants];
  const wanted = new Set(all.flatMap(({ signals }) => signals));
  for (const signal of wanted) {
    if (listened.has(signal)) continue;
    const listener = () => onSignal(signal);
    listened.set(signal, listener);
    process.on(signal, listener);
  }
  for (const [signal, listener] of listened) {
    if (wanted.has(signal)) continue;
    listened.delete(signal);
    process.removeListener(signal, listener);
  }
  const needsErrors = all.some(({ onUncaught }) => onUncaught === "drain");
  if (needsErrors === watchesErrors) return;
  watchesErrors = needsErrors;
  if (needsErrors) process.on("uncaughtException", onUncaught);
  else process.removeListener("uncaughtException", onUncaught);
}

let signalled = false;

function onSignal(signal: NodeJS.Signals): void {
  if (signalled) {
    const { signals } = process.getBuiltinModule("node:os").constants;
    process.exit(128 + signals[signal]);
  }
  signalled = true;
  const concerned = [...participants].filter(({ signals }) => signals.includes(signal));
  if (!led) concerned[0]?.logger.info({ signal }, "closing; the same signal again ends the process at once");
  end(concerned, undefined);
}

/** Node says that it is not safe to go on after such an error: what is under way is finished, and the process ends. */
function onUncaught(error: unknown, origin: string): void {
  try {
    const concerned = [...participants].filter((one) => one.onUncaught === "drain");
    const logger = concerned[0]?.logger ?? stderrLogger;
    handOver(error, origin, logger);
    end(concerned, { error });
  } catch (fault) {
    // To throw here would end the process on the spot.
    stderrLogger.error({ error: describeThrown(fault) }, "an uncaught error could not be handled");
    stderrLogger.error({ error: describeThrown(error) }, "the uncaught error");
    process.exitCode = 1;
  }
}

function end(concerned: readonly Participant[], cause: { readonly error: unknown } | undefined): void {
  if (cause !== undefined) process.exitCode = 1;
  const logger = concerned[0]?.logger ?? stderrLogger;
  const closed = Promise.all(concerned.map((one) => one.close(cause)));
  ending ??= closed.then((reports) => {
    const forced = reports.some((report) => report.forced);
    const failed = forced || process.exitCode === 1 || reports.some((report) => report.error !== undefined);
    if (!led || failed) {
      for (const report of reports) logger.info(describe(report), forced ? "closed by force" : "closed");
    }
    return exit(failed ? 1 : 0);
  });
}

function describe({ error, ...report }: CloseReport): object {
  return error === undefined ? report : { ...report, error: describeThrown(error) };
}

/** In a worker: its primary speaks for it, and lets it go. */
let led: { readonly farewell: () => Promise<void> } | undefined;

export function beLed(farewell: () => Promise<void>): void {
  led = { farewell };
}

/** Closes all servers of this process and ends it, as a signal does. */
export function endAll(): void {
  end([...participants], undefined);
}

/**
 * Ends the process: by itself, once its output has gone and whoever waits for `closed` has put their things away (a
 * pool of database connections); by force if something keeps it alive.
 */
export async function exit(code: number): Promise<void> {
  process.exitCode = code;
  await led?.farewell();
  await new Promise(setImmediate); // the log's lines of this turn
  if (led !== undefined && process.connected) process.disconnect();
  setTimeout(() => process.exit(), EXIT_GRACE_MS).unref();
}

const EXIT_GRACE_MS = 1_000;
