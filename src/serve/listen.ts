import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { Monitor } from "../lib/health/monitor.js";
import { announceClosing } from "../lib/request/context.js";
import { describeThrown } from "../lib/values/thrown.js";
import { answerTimedOut, handleClientErrors, rejectUpgrade } from "./client-errors.js";
import { type Connection, Connections } from "./connections.js";
import { continueOnRead } from "./continue.js";
import { answerBeforeApp, dispatch } from "./dispatch.js";
import type { CloseReport, Served } from "./options.js";
import type { ServePlan } from "./plan.js";
import type { HeadProblem } from "./request-head.js";
import { bind, createServer, urlOf, waitUntilListening } from "./server.js";
import { drainServer, stopListening } from "./shutdown.js";
import { addParticipant, type Participant } from "./signals.js";
import { expiredOn } from "./tls.js";

/** A server that listens in this process, or in its workers. `close` also takes the uncaught error. */
export interface Listening extends Omit<Served, "workers"> {
  close(cause?: { readonly error: unknown }): Promise<CloseReport>;
}

/** Serves an app in this process. */
export async function listen(
  app: RequestListener,
  plan: ServePlan,
  onClosing: () => void = () => {},
): Promise<Listening> {
  const { logger } = plan;
  const server = plan.server ?? createServer(app, plan);
  const onSlow = (req: IncomingMessage, res: ServerResponse) => answerTimedOut(req, res, logger);
  const onBadUpgrade = (connection: Connection, problem: HeadProblem) =>
    rejectUpgrade(connection, problem, logger);
  let isClosing = false;
  const isDraining = () => isClosing || !server.listening;
  const checks = plan.probes.checks && new Monitor(plan.probes.checks, logger);
  const answers = answerBeforeApp(plan, isDraining, checks);
  const connections = new Connections(server, plan.server !== undefined, onSlow, answers, onBadUpgrade);
  handleClientErrors(server, connections, logger);
  continueOnRead(server);
  const closing = new AbortController();
  announceClosing(server, closing.signal, isDraining);
  server.removeListener("request", app); // a given server may have it already; `dispatch` calls it
  server.on("request", dispatch(app, plan));
  if (plan.server === undefined) await bind(server, plan.where);
  else await waitUntilListening(plan.server, app, logger);
  server.on("error", (error) => logger.error({ error: describeThrown(error) }, "the server failed"));
  warnOfExpiry(plan);
  checks?.start();

  let settle!: (report: CloseReport | Promise<CloseReport>) => void;
  const closed = new Promise<CloseReport>((resolve) => {
    settle = resolve;
  });
  const ended = new Promise<void>((resolve) => server.once("close", resolve)).then(() =>
    connections.closed(),
  );
  /** Aborts to end `drain.delayMs` early. */
  const delaying = new AbortController();
  /** The first uncaught error, also if the server was closing already. */
  let uncaught: { readonly error: unknown } | undefined;

  const announce = () => closing.abort(closingReason());

  async function shutDown(): Promise<CloseReport> {
    const start = performance.now();
    onClosing();
    const { delayMs } = plan.drain;
    if (delayMs > 0) await sleep(delayMs, undefined, { signal: delaying.signal }).catch(() => {});
    const result = await drainServer(server, connections, ended, announce, plan.drain);
    removeParticipant();
    return { ...result, durationMs: performance.now() - start, ...uncaught };
  }

  const url = urlOf(server);
  const participant: Participant = {
    url,
    signals: plan.signals,
    onUncaught: plan.onUncaught,
    logger,
    close(cause) {
      if (cause !== undefined) {
        uncaught ??= cause;
        delaying.abort(); // the process may be in a bad state: drain without delay
      }
      if (!isClosing) {
        isClosing = true;
        checks?.close();
        settle(shutDown());
      }
      return closed;
    },
    abandon() {
      stopListening(server);
    },
  };
  const removeParticipant = addParticipant(participant);
  ended.then(() => {
    delaying.abort();
    if (isClosing) return; // otherwise the program called the server's own close()
    isClosing = true;
    checks?.close();
    announce();
    removeParticipant();
    settle({ forced: false, durationMs: 0, tasksLeft: [] });
  });
  return { url, server, closing: closing.signal, close: participant.close, closed };
}

/** The reason with which `closing` aborts. */
export function closingReason(): DOMException {
  return new DOMException("The server is closing", "AbortError");
}

function warnOfExpiry({ tls, logger }: ServePlan): void {
  const expired = tls === undefined ? undefined : expiredOn(tls);
  if (expired !== undefined)
    logger.warn({ validTo: expired }, "the TLS certificate has expired: clients will refuse it");
}
