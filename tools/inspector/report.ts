// What the inspector's page shows, as it gets it: plain data, already redacted.

/** A part of the list. */
export interface Summary {
  readonly id: number;
  /** When it came, in milliseconds since 1970. */
  readonly time: number;
  readonly method: string;
  readonly path: string;
  readonly query: string | undefined;
  readonly route: string | undefined;
  /** Undefined while the request is in flight. */
  readonly status: number | undefined;
  readonly totalMs: number | undefined;
  readonly outcome: "complete" | "aborted" | "truncated" | "upgraded" | undefined;
  /** Of a connection that has switched to another protocol and has closed since: from the switch on. */
  readonly openMs: number | undefined;
  /** The name of the layer that answered. */
  readonly answeredBy: string | undefined;
  /** Where an error began: `renderInvoice` `threw` `TypeError`. */
  readonly failure: Failure | undefined;
  /** What the list says beside the status: `cors: origin`, `TypeError`, `cache hit`. */
  readonly marks: readonly Mark[];
}

export interface Failure {
  readonly name: string;
  /** `threw`, `rejected with`, `passed on`. */
  readonly how: string;
  readonly type: string;
}

export interface Mark {
  readonly kind: "refused" | "error" | "cache" | "not cached" | "aborted" | "timeout";
  readonly text: string;
}

/** How a call of a layer ended. */
export type Ending =
  | "passed on"
  | "passed an error"
  | "threw"
  | "rejected"
  | "answered"
  | "left the route"
  | "holds";

export interface Fault {
  readonly type: string;
  readonly message: string;
  readonly stack: string | undefined;
}

/** One call of a layer. The times of all calls, and of sending, add up to the total. */
export interface Call {
  /** The index of the call of the router, route, chain or app around it; -1 for the outermost. */
  readonly parent: number;
  readonly kind:
    | "middleware"
    | "error handler"
    | "chain"
    | "router"
    | "route"
    | "app"
    | "server"
    | "upgrade listener";
  readonly name: string;
  /** The template of the whole path that it is mounted at. */
  readonly path: string;
  readonly concern: string | undefined;
  /** From the start of the request. */
  readonly startMs: number;
  /** Its own code until it passed the request on. */
  readonly downMs: number;
  /** Waiting, until it passed the request on or ended its answer. */
  readonly heldMs: number;
  /** Its own code afterwards: after `next()`, and for the head and body of the response. */
  readonly upMs: number;
  readonly ending: Ending;
  /** Of a function without a name: the beginning of its code. */
  readonly source: string | undefined;
  /** The error that it was called with, threw or passed on. */
  readonly fault: Fault | undefined;
  /** It called `next` more than once. */
  readonly repeats: boolean;
}

export interface Decision {
  /** `cors`, `csrf`, `cache`, … */
  readonly about: string;
  /** `unexplained`: a 4xx or 5xx by code that has recorded no reason. */
  readonly verdict: "refused" | "allowed" | "note" | "failed" | "cache" | "unexplained";
  /** For `cache` and `unexplained`: `not stored`, `hit`. The other verdicts are words themselves. */
  readonly word?: string;
  readonly text: string;
  /** Of an error: where it began in the app's code, as its stack says. */
  readonly place?: string | undefined;
}

export interface Header {
  readonly name: string;
  readonly value: string;
  /** The calls that set it, by their index; empty for Node's own. */
  readonly setBy: readonly number[];
}

export interface Detail {
  readonly summary: Summary;
  readonly httpVersion: string;
  readonly remoteAddress: string | undefined;
  readonly scheme: "http" | "https";
  readonly host: string | undefined;
  readonly requestHeaders: readonly {
    readonly name: string;
    readonly value: string;
    readonly hidden: boolean;
  }[];
  readonly responseHeaders: readonly Header[];
  readonly calls: readonly Call[];
  /** How many calls were left out because there were too many. */
  readonly callsLeftOut: number;
  /** The call that answered; -1: Express itself, or none. */
  readonly answerer: number;
  /** From the end of the answer to the last byte that was passed to the system. */
  readonly sendingMs: number;
  /** Of the response's body. */
  readonly bytes: number | undefined;
  readonly decisions: readonly Decision[];
  readonly fault: Fault | undefined;
  /** The record of the request log. */
  readonly record: unknown;
  readonly reports: readonly unknown[];
}

/** One second. */
export interface Sample {
  readonly time: number;
  readonly rate: number;
  readonly p50: number | undefined;
  readonly p95: number | undefined;
  readonly p99: number | undefined;
  readonly inFlight: number;
  /** The longest delay of the event loop. */
  readonly delayMs: number;
}
