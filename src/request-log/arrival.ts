import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { plainAddress, readAddress } from "../lib/http/address.js";
import { hostOf, schemeOf } from "../lib/http/host.js";
import { pathOf, queryOf } from "../lib/http/target.js";
import { type RequestRecord, type RequestState, stateOf } from "../lib/request/state.js";
import { peek } from "../lib/values/thrown.js";

/** The part of a log's plan that an arrival needs. */
interface LogPlan {
  readonly immediate: boolean;
  readonly takesErrors: object | undefined;
}

/** Values of a request that are read when it arrives, because they can be gone or changed when the response ends. */
export class Arrival<Plan extends LogPlan = LogPlan> implements RequestRecord {
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
    readonly log: Plan,
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
export function noteArrival<Plan extends LogPlan>(
  log: Plan,
  req: IncomingMessage,
): Arrival<Plan> | undefined {
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

/**
 * The client's address: the peer's, or the one that Express reads from trusted proxies. It must be read when the
 * request arrives: a closed socket has no peer address. `-` if there is none (a Unix socket).
 */
function clientAddress(req: IncomingMessage, socket: Socket | undefined): string {
  const app = (req as Routed).app;
  if (app?.settings?.["trust proxy"]) {
    const ip = peek(req, "ip"); // a custom trust function can throw
    const address = typeof ip === "string" ? readAddress(ip) : undefined;
    if (address !== undefined) return address;
  }
  const address = socket?.remoteAddress;
  return address === undefined ? "-" : plainAddress(address);
}

type Routed = IncomingMessage & {
  readonly app?: { readonly settings?: Readonly<Record<string, unknown>> };
};

/** The connection's peer, and the scheme and host that the client addressed. */
interface Connection {
  readonly scheme: "http" | "https";
  /** An IPv6 address is in brackets. */
  readonly host: string | undefined;
  readonly port: number | undefined;
  readonly peerAddress: string | undefined;
  readonly peerPort: number | undefined;
}

const connections = new WeakMap<IncomingMessage, Connection>();

/** Must be called when the request arrives; the result is kept, because an HTTP/2 request loses its connection later. */
export function connectionOf(req: IncomingMessage): Connection {
  let connection = connections.get(req);
  if (connection === undefined) {
    connection = readConnection(req);
    connections.set(req, connection);
  }
  return connection;
}

function readConnection(req: IncomingMessage): Connection {
  const { socket } = req;
  return {
    scheme: schemeOf(req),
    ...parseAuthority(hostOf(req)),
    peerAddress: socket?.remoteAddress && plainAddress(socket.remoteAddress),
    peerPort: socket?.remotePort,
  };
}

const AUTHORITY = /^([\w.-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::(\d{1,5}))?$/i;

/** Undefined if it is not a host: a client can send anything. */
function parseAuthority(authority: string | undefined): Pick<Connection, "host" | "port"> {
  const match = AUTHORITY.exec(authority ?? "");
  const port = match?.[2] === undefined ? undefined : Number(match[2]);
  return { host: match?.[1], port: port !== undefined && port <= 65_535 ? port : undefined };
}
