import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { pathOf, queryOf } from "../lib/http/target.js";
import { type RequestRecord, type RequestState, stateOf } from "../lib/request/state.js";
import { clientAddress } from "./client-address.js";
import type { Log } from "./output.js";

type Routed = IncomingMessage & { readonly app?: unknown };

/** Values of a request that are read when it arrives, because they can be gone or changed when the response ends. */
export class Arrival implements RequestRecord {
  readonly startedMs = performance.now();
  readonly method: string;
  readonly path: string;
  readonly query: string | undefined;
  readonly socket: Socket | undefined;
  readonly remoteAddress: string;
  /** The app in which the log is mounted. */
  readonly app: unknown;
  /** From the start to the head; negative until a head is written. */
  headMs = -1;
  timingSent = false;
  isOpen: boolean;
  readonly takesErrors: object | undefined;

  constructor(
    readonly log: Log,
    readonly req: IncomingMessage,
    readonly state: RequestState,
    /** The arrival that another request log made for the same request. */
    readonly other: Arrival | undefined,
  ) {
    this.isOpen = !log.immediate;
    this.takesErrors = log.takesErrors;
    this.method = req.method ?? "";
    this.path = pathOf(req);
    this.query = queryOf(req);
    this.socket = req.socket;
    this.remoteAddress = clientAddress(req, req.socket);
    this.app = (req as Routed).app;
  }
}

/** Returns undefined if this log has seen the request already: a log that is mounted twice writes one record. */
export function noteArrival(log: Log, req: IncomingMessage): Arrival | undefined {
  const state = stateOf(req);
  if (state.internal) return undefined; // made by this package, not by a client
  const latest = state.log as Arrival | undefined;
  for (let seen = latest; seen !== undefined; seen = seen.other) {
    if (seen.log === log) return undefined;
  }
  const arrival = new Arrival(log, req, state, latest);
  state.log = arrival;
  return arrival;
}
