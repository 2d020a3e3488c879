import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { announceClosing } from "../lib/request/context.js";
import { describeThrown } from "../lib/values/thrown.js";
import { bind, listening, urlOf } from "./bind.js";
import { type CloseReport, closeServer, stopListening } from "./close.js";
import { Connections, type Line, type Server } from "./connections.js";
import { createServer } from "./create-server.js";
import { answerBefore, dispatch } from "./dispatch.js";
import type { ServePlan } from "./options.js";
import { join, type Participant } from "./process.js";
import { answerRefused, refuseSlow, refuseUpgrade } from "./refused.js";
import type { HeadFault } from "./request-head.js";
import { expiry } from "./tls.js";

export interface Listening {
  readonly url: string;
  readonly server: Server;
  readonly closing: AbortSignal;
  close(cause?: { readonly error: unknown }): Promise<CloseReport>;
  readonly closed: Promise<CloseReport>;
}

/** Serves an app in this process. */
export async function listen(
  app: RequestListener,
  plan: ServePlan,
  onClosing: () => void = () => {},
): Promise<Listening> {
  const { logger } = plan;
  const server = plan.server ?? createServer(app, plan);
  const onSlow = (req: IncomingMessage, res: ServerResponse) => refuseSlow(req, res, logger);
  const onBadUpgrade = (line: Line, fault: HeadFault) => refuseUpgrade(line, fault, logger);
  let isClosing = false;
  const answers = answerBefore(plan, () => isClosing || !server.listening);
  const connections = new Connections(server, plan.server !== undefined, onSlow, answers, onBadUpgrade);
  answerRefused(server, connections, logger);
  const closing = new AbortController();
  announceClosing(server, closing.signal);
  server.removeListener("request", app); // a given server may have it already; `dispatch` calls it
  server.on("request", dispatch(app, plan));
  if (plan.server === undefined) await bind(server, plan.where);
  else await listening(plan.server, app, logger);
  server.on("error", (error) => logger.error({ error: describeThrown(error) }, "the server failed"));
  warnOfExpiry(plan);

  let report!: (report: CloseReport | Promise<CloseReport>) => void;
  const closed = new Promise<CloseReport>((resolve) => {
    report = resolve;
  });
  const ended = new Promise<void>((resolve) => server.once("close", resolve));
  let endDelay = () => {};
  /** The first uncaught error, also if the server was closing already. */
  let failure: { readonly error: unknown } | undefined;

  function delay(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, plan.drain.delayMs);
      endDelay = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  const announce = () => closing.abort(closingReason());

  async function shutDown(): Promise<CloseReport> {
    const start = performance.now();
    onClosing();
    if (failure === undefined && plan.drain.delayMs > 0) await delay();
    const result = await closeServer(server, connections, ended, announce, plan.drain);
    leave();
    return { ...result, durationMs: performance.now() - start, ...failure };
  }

  const url = urlOf(server);
  const participant: Participant = {
    url,
    signals: plan.signals,
    onUncaught: plan.onUncaught,
    logger,
    close(cause) {
      if (cause !== undefined) {
        failure ??= cause;
        endDelay(); // the process may be in a bad state: drain without delay
      }
      if (!isClosing) {
        isClosing = true;
        report(shutDown());
      }
      return closed;
    },
    abandon() {
      stopListening(server);
    },
  };
  const leave = join(participant);
  ended.then(() => {
    endDelay();
    if (isClosing) return; // otherwise the program called the server's own close()
    isClosing = true;
    announce();
    leave();
    report({ forced: false, durationMs: 0, tasksLeft: [] });
  });
  return { url, server, closing: closing.signal, close: participant.close, closed };
}

/** The reason with which `closing` aborts. */
export function closingReason(): DOMException {
  return new DOMException("The server is closing", "AbortError");
}

function warnOfExpiry({ tls, logger }: ServePlan): void {
  const expired = tls === undefined ? undefined : expiry(tls);
  if (expired !== undefined)
    logger.warn({ validTo: expired }, "the TLS certificate has expired: clients will refuse it");
}
