import type { ServerResponse } from "node:http";
import type { Interceptor } from "./interceptor.js";

export type WriteHead = (status: number, reason?: unknown, headers?: unknown) => ServerResponse;
export type Write = (chunk: unknown, encoding?: unknown, callback?: unknown) => boolean;
export type End = (chunk?: unknown, encoding?: unknown, callback?: unknown) => ServerResponse;

/** A link, as the others see it. It passes everything on, or has an interceptor. */
export interface Receiver {
  /** The next outer one: a linked list, as V8 would allocate arrays made here in its old generation. */
  readonly outer: Receiver | undefined;
  /** 0 for the outermost. */
  readonly level: number;
  /** What it puts on the response. */
  readonly methods: Methods;
  /** The head hooks of inner code. */
  hooks: unknown[];
  /** How often inner code has written, or ended the response, with success; counted if it receives the body. */
  readonly writes: number;
  /** The bytes of the body, if it is the chain's counter. */
  readonly bytes: number;
  readonly receivesBody: boolean;
  /** Whether `writeHead` is this link's: no other code has patched it since. */
  readonly ownsWriteHead: boolean;
  /** Whether `write` and `end` are this link's. */
  readonly ownsBodyMethods: boolean;
  /** Whether other code has patched `writeHead` between this link and the next outer one, or Node. */
  readonly isHeadForeign: boolean;
  /** What `end` was on the response before, if the link receives the body. */
  readonly outerEnd: End | undefined;
  /** Undefined also after the interceptor has finished with the response. */
  readonly interceptor: Interceptor | undefined;
  /** The app has written its head, and the interceptor has it. */
  readonly begun?: boolean;
  /** The interceptor has passed the head on. */
  readonly headPassedOn?: boolean;
  /** The app has ended its body, and the interceptor has all of it. */
  readonly ended?: boolean;
  /** `write` has returned false to the app. */
  readonly waits?: boolean;
  /** Puts the link's `write` and `end` on the response: inner code's calls come to it from now on. */
  patchBodyMethods(): void;
  receiveHead(...args: Parameters<WriteHead>): ServerResponse;
  /** @param argumentCount how many arguments it was called with; undefined if an inner link calls */
  receiveData(chunk: unknown, encoding: unknown, callback: unknown, argumentCount?: number): boolean;
  receiveEnd(...args: Parameters<End>): ServerResponse;
  receiveFlush(): void;
  drop(): void;
}

/** The value of `Chain.calling` if no link calls its outer side. */
const NONE_CALLS = 1 << 20;

/**
 * All that our middleware have registered on one response.
 *
 * A class, not an object literal: V8 begins to allocate the literals of one place in its old generation, and then only a
 * full collection frees the responses that they refer to.
 */
export class Chain {
  innermost: Receiver | undefined = undefined;
  /** The level of the outermost link that is calling its outer side: what is called meanwhile is outer code. */
  calling = NONE_CALLS;
  /** A link calls `res.writeHead` for the app. */
  isBeginning = false;
  /** The link that counts the bytes of the body. */
  counter: Receiver | undefined = undefined;
  /** The end hooks and their data, alternating. */
  atEnd: unknown[] | undefined = undefined;
  hasEnded = false;
  /** 'finish' was emitted by a response without a server. */
  hasFinished = false;
}

const CHAIN = Symbol("express-portico.chain");
export type Chained = ServerResponse & { [CHAIN]?: Chain };

/** The response's chain; made on first use. */
export function chainOf(res: ServerResponse): Chain {
  return ((res as Chained)[CHAIN] ??= new Chain());
}

/** The response's chain, if it was made already. */
export function knownChain(res: ServerResponse): Chain | undefined {
  return (res as Chained)[CHAIN];
}

/** Whether outer code is running that a link has called, or a link calls `res.writeHead` for the app. */
export function isChainCalling(res: ServerResponse): boolean {
  const chain = knownChain(res);
  return chain !== undefined && (chain.calling !== NONE_CALLS || chain.isBeginning);
}

/** The methods that a link puts on the response. */
export interface Methods {
  readonly writeHead: WriteHead;
  readonly write: Write;
  readonly end: End;
  readonly flushHeaders: () => void;
}

const LEVELS: Methods[] = [];

/**
 * The methods of the links of one level, the same for all responses: they find their link by the response. With closures,
 * each response would have its own.
 */
export function methodsAt(level: number): Methods {
  return (LEVELS[level] ??= makeMethods(level));
}

function makeMethods(level: number): Methods {
  const linkOf = (res: Chained): Receiver => {
    let link = res[CHAIN]!.innermost!;
    while (link.level > level) link = link.outer!;
    return link;
  };
  return {
    writeHead(this: Chained, status, reason, headers) {
      return linkOf(this).receiveHead(status, reason, headers);
    },
    write(this: Chained, ...args) {
      return linkOf(this).receiveData(args[0], args[1], args[2], args.length);
    },
    end(this: Chained, chunk, encoding, callback) {
      return linkOf(this).receiveEnd(chunk, encoding, callback);
    },
    flushHeaders(this: Chained) {
      linkOf(this).receiveFlush();
    },
  };
}
