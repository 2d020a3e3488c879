import type { ServerResponse } from "node:http";
import {
  type Chain,
  type End,
  type Methods,
  methodsAt,
  type Receiver,
  type Write,
  type WriteHead,
} from "./chain.js";
import { byteLength, encodingOf, type HeadHeaders, isChunk, isOddList, setHeadHeaders } from "./write.js";

/**
 * Runs just before the response's head is written, when all its headers are set. `data` is the value that the hook was
 * registered with, so that one function serves all requests, without a closure for each.
 */
export type HeadHook<T> = (res: ServerResponse, data: T) => void;
/** Hooks and their data, alternating, in the order of registration. */
export type HookList = unknown[];

/** Inner hooks run first. */
export function runHooks(res: ServerResponse, hooks: HookList): void {
  for (let i = hooks.length - 2; i >= 0; i -= 2) {
    (hooks[i] as HeadHook<unknown>)(res, hooks[i + 1]);
  }
}

/** A link that passes everything on: it runs head hooks, and may watch the body. */
export class Link implements Receiver {
  readonly outer: Receiver | undefined;
  readonly level: number;
  readonly methods: Methods;
  readonly interceptor: Receiver["interceptor"] = undefined;
  writes = 0;
  bytes = 0;
  protected readonly outerHead: WriteHead;
  protected outerWrite: Write | undefined = undefined;
  outerEnd: End | undefined = undefined;

  constructor(
    readonly res: ServerResponse,
    readonly chain: Chain,
    public hooks: HookList,
  ) {
    const outer = chain.innermost;
    this.outer = outer;
    this.level = outer === undefined ? 0 : outer.level + 1;
    this.methods = methodsAt(this.level);
    this.outerHead = res.writeHead as WriteHead;
    res.writeHead = this.methods.writeHead as ServerResponse["writeHead"];
    chain.innermost = this;
  }

  get receivesBody(): boolean {
    return this.outerEnd !== undefined;
  }

  get ownsWriteHead(): boolean {
    return (this.res.writeHead as WriteHead) === this.methods.writeHead;
  }

  get ownsBodyMethods(): boolean {
    const { res, methods } = this;
    return (res.end as End) === methods.end && (res.write as Write) === methods.write;
  }

  get isHeadForeign(): boolean {
    if (this.outer !== undefined) return this.outerHead !== this.outer.methods.writeHead;
    return this.outerHead !== (Object.getPrototypeOf(this.res) as ServerResponse).writeHead;
  }

  patchBodyMethods(): void {
    const { res, methods } = this;
    this.outerWrite = res.write as Write;
    this.outerEnd = res.end as End;
    res.write = methods.write as ServerResponse["write"];
    res.end = methods.end as ServerResponse["end"];
  }

  receiveHead(status: number, reason?: unknown, headers?: unknown): ServerResponse {
    const { res } = this;
    const code = status | 0;
    const extra = typeof reason === "string" ? headers : (headers ?? reason);
    const isRefused = res.headersSent || code < 100 || code > 999 || isOddList(extra);
    if (isRefused) return this.outerHead.call(res, status, reason, headers); // Node throws the right error
    if (extra !== undefined && extra !== null) setHeadHeaders(res, extra as HeadHeaders);
    res.statusCode = code;
    runHooks(res, this.hooks);
    // A hook may have changed the status.
    this.passHead(res.statusCode, typeof reason === "string" ? reason : undefined);
    return res;
  }

  /**
   * Passes the head to the next outer link, or to Node, once all its headers are set. `InterceptorLink` gives it to its
   * interceptor first, which may pass it on later.
   */
  protected passHead(status: number, reason: string | undefined): void {
    const { outer, outerHead, res } = this;
    if (outerHead === outer?.methods.writeHead) outer.receiveHead(status, reason);
    else if (reason === undefined) outerHead.call(res, status);
    else outerHead.call(res, status, reason);
  }

  receiveData(chunk: unknown, encoding: unknown, callback: unknown, argumentCount?: number): boolean {
    const { res, outer, outerWrite } = this;
    this.count(chunk, encoding);
    const before = this.enterOuter();
    try {
      const more =
        outerWrite === outer?.methods.write
          ? outer!.receiveData(chunk, encoding, callback, argumentCount)
          : outerWrite!.call(res, chunk, encoding, callback);
      this.writes++;
      return more;
    } finally {
      this.chain.calling = before;
    }
  }

  receiveEnd(chunk: unknown, encoding: unknown, callback: unknown): ServerResponse {
    const { res, outer, outerEnd } = this;
    this.count(chunk, encoding);
    const before = this.enterOuter();
    try {
      const result =
        outerEnd === outer?.methods.end
          ? outer!.receiveEnd(chunk, encoding, callback)
          : outerEnd!.call(res, chunk, encoding, callback);
      this.writes++;
      return result;
    } finally {
      this.chain.calling = before;
    }
  }

  receiveFlush(): void {}

  drop(): void {}

  private count(chunk: unknown, encoding: unknown): void {
    if (this.chain.counter !== this || this.isFromOuter() || this.res.writableEnded) return;
    if (isChunk(chunk)) this.bytes += byteLength(chunk, encodingOf(encoding));
  }

  /**
   * Whether outer code makes this call, because this link or an outer one is calling its outer side. Node's methods call one
   * another on the response (on HTTP/2 `end` calls `write`). Such a call passes all links again and must not be handled twice.
   */
  protected isFromOuter(): boolean {
    return this.chain.calling <= this.level;
  }

  /** Marks that outer code runs from now on. Returns the previous `chain.calling`, which the caller must restore. */
  protected enterOuter(): number {
    const { chain, level } = this;
    const { calling } = chain;
    if (level < calling) chain.calling = level;
    return calling;
  }
}
