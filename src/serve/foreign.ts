import type { ForeignOptions } from "../lib/config/checker.js";

const CLOSED = "await served.closed, and do it then";
const DEADLINE = "it is drain: { deadlineMs }";
const EXIT = "it is not needed: the process ends by itself, with 1 where it was forced";

/** Option names of other packages, and their equivalent here. */
export const FOREIGN: ForeignOptions = {
  "@godaddy/terminus": {
    healthChecks: "it is probes: { live, ready }",
    signal: "signals",
    timeout: DEADLINE,
    sendFailuresDuringShutdown: "ready is always 503 during a shutdown",
    beforeShutdown: "it is drain: { delayMs }",
    onSignal: CLOSED,
    onShutdown: CLOSED,
    onSendFailureDuringShutdown: "ready is always 503 during a shutdown",
    useExit0: EXIT,
    headers: "there is none: cors does not stand before the probes",
    statusOk: "there is none: a probe answers 200",
    statusOkResponse: "there is none: the body of a probe is fixed",
    statusError: "there is none: a probe answers 503",
    statusErrorResponse: "there is none: the body of a probe is fixed",
    caseInsensitive: "there is none: the paths are compared exactly",
  },
  "@nestjs/terminus": {
    gracefulShutdownTimeoutMs: "it is drain: { delayMs }",
    errorLogStyle: "there is none: the logger decides",
  },
  "http-graceful-shutdown": {
    timeout: DEADLINE,
    development: "there is none: close() is as quick as its requests",
    forceExit: EXIT,
    preShutdown: "it is drain: { delayMs }",
    onShutdown: CLOSED,
    finally: CLOSED,
  },
  "http-terminator": { gracefulTerminationTimeout: DEADLINE },
  lightship: {
    gracefulShutdownTimeout: DEADLINE,
    shutdownDelay: "it is drain: { delayMs }",
  },
};
