import { onEnd } from "../lib/response/end-hooks.js";
import { isHeadOurs } from "../lib/response/head-hooks.js";
import type { Chunk, Interceptor, Outer, WriteCallback } from "../lib/response/interceptor.js";
import { intercept } from "../lib/response/interceptor-chain.js";
import { type HeaderList, headersOf, replaceHeaders } from "../lib/response/snapshot.js";
import { setLength } from "../lib/response/write.js";
import { StatusMember } from "./cache-status.js";
import type { FetchResult, SharedFetch } from "./coalesce.js";
import { varyFieldsOf } from "./key.js";
import { notModified } from "./rules/conditional.js";
import { mayServeOnError, type Policy } from "./rules/freshness.js";
import { type Prepared, prepare, prepareNotModified, readyEntry, sendPrepared } from "./serve.js";
import type { Exchange, ForwardReason } from "./state.js";
import {
  isStillStored,
  isWithdrawn,
  markHitForMiss,
  PendingEntry,
  setsCookie,
  storeEntry,
  updatedEntry,
  watchCookies,
  whyNotStoredHere,
} from "./store.js";
import type { Entry, Lookup } from "./stores/cache-store.js";

/** A stale answer may replace an answer with one of these (RFC 5861 section 4). */
const ERRORS = new Set([500, 502, 503, 504]);

/** Runs the handlers, stores their answer if it may be stored, and resumes the requests that wait for it. */
export function fetchAnswer(
  exchange: Exchange,
  lookup: Lookup,
  fwd: ForwardReason,
  shared: SharedFetch | undefined,
): void {
  const { req, res, state } = exchange;
  state.forwarded.add(req);
  const policy = lookup.entry && readyEntry(lookup.entry).policy;
  exchange.replaceConditions(policy);
  const hasOthers = !isHeadOurs(res);
  intercept(res, (outer) => {
    const fetch = new Fetch(exchange, lookup, policy, fwd, shared, outer, hasOthers);
    onEnd(req, res, ended, fetch);
    return fetch;
  });
  exchange.next();
}

function ended(_res: unknown, fetch: Fetch): void {
  fetch.ended();
}

class Fetch implements Interceptor {
  private readonly before: HeaderList;
  private readonly requestedAt = Date.now();
  /** The answer, while it is being collected to be stored. */
  private pending: PendingEntry | undefined = undefined;
  /** Another answer was sent: the handlers' body is not sent to the client. */
  private isReplaced = false;
  private isCounted = false;
  private readonly member: StatusMember;
  private isStoring = false;
  /** The part of `state.ahead` that belongs to this answer. */
  private ahead = 0;

  constructor(
    private readonly exchange: Exchange,
    private readonly lookup: Lookup,
    private readonly policy: Policy | undefined,
    private readonly fwd: ForwardReason,
    private readonly shared: SharedFetch | undefined,
    private readonly outer: Outer,
    /** Third-party middleware may act when the head is written. */
    private readonly hasOthers: boolean,
  ) {
    this.before = headersOf(exchange.res);
    this.member = new StatusMember(exchange.res, exchange.state.plan.name);
  }

  head(status: number, reason: string | undefined, whole: number | undefined): void {
    this.startAgain();
    const now = Date.now();
    const { exchange, lookup } = this;
    const { entry } = lookup;
    const policy = this.policy;
    if (entry === undefined || policy === undefined) this.begin(status, reason, whole, now);
    else if (status === 304 && exchange.conditions !== undefined) this.revalidated(entry, now);
    else if (ERRORS.has(status) && mayServeOnError(policy, now) && isStillStored(exchange)) {
      this.serveStale(entry, status, now);
    } else this.begin(status, reason, whole, now);
  }

  write(chunk: Chunk, encoding: BufferEncoding | undefined, callback: WriteCallback | undefined): boolean {
    const bytes = this.collect(chunk, encoding);
    if (!this.isReplaced) return this.outer.write(bytes, encoding, callback) || this.runAhead(bytes);
    if (callback !== undefined) process.nextTick(callback);
    return true;
  }

  end(
    chunk: Chunk | undefined,
    encoding: BufferEncoding | undefined,
    callback: WriteCallback | undefined,
  ): void {
    const bytes = chunk === undefined ? undefined : this.collect(chunk, encoding);
    this.complete();
    this.outer.end(this.isReplaced ? undefined : bytes, encoding, callback);
  }

  flush(): void {
    this.outer.flushHeaders();
  }

  drain(): void {
    this.catchUp();
    this.outer.drain();
  }

  /** The response has ended: an answer that is not complete by now never will be. */
  ended(): void {
    this.exchange.restoreConditions();
    this.count();
    this.catchUp();
    this.pending = undefined;
    if (!this.isStoring) this.shared?.settle("aborted");
  }

  /** Called when the client does not read. Returns whether the handler may still write: its answer is then buffered in
   * memory, because it is to be stored. */
  private runAhead({ length }: Chunk): boolean {
    if (this.pending === undefined) return false;
    if (this.exchange.state.mayRunAhead(length)) {
      this.ahead += length;
      return true;
    }
    this.shared?.settle("blocked");
    return false;
  }

  private catchUp(): void {
    this.exchange.state.ahead -= this.ahead;
    this.ahead = 0;
  }

  /** Node refused the previous head and another one comes: starts again. */
  private startAgain(): void {
    this.pending = undefined;
    this.isReplaced = false;
    this.member.remove();
  }

  /** Sends the handlers' head, and starts to collect the answer if it may be stored. */
  private begin(status: number, reason: string | undefined, whole: number | undefined, now: number): void {
    const { exchange, lookup } = this;
    const { res, conditions, state } = exchange;
    setLength(res, status, whole);
    if (!res.hasHeader("date") && res.sendDate) res.setHeader("Date", new Date(now).toUTCString());
    const headers = headersOf(res);
    const why = whyNotStoredHere(exchange, lookup, status, headers, this.before);
    this.count();
    this.member.add({ fwd: this.fwd, ...(why === undefined ? { stored: true } : { detail: why }) });
    if (conditions !== undefined && status !== 206 && notModified(conditions, headers, status)) {
      this.sendInstead(prepareNotModified(res));
    } else if (why === undefined && this.hasOthers && !state.plan.cookies) this.writeHead(status, reason);
    else this.outer.writeHead(status, reason);
    // Only after the head is written: Node may refuse it, and outer middleware may set a cookie on it.
    if (why === undefined && !setsCookie(exchange)) this.collectFrom(status, reason ?? "", headers, now);
    else {
      if (why !== undefined && lookup.entry !== undefined && isWithdrawn(why, status)) exchange.purge();
      this.endAsHitForMiss(why);
    }
  }

  /** Outer middleware may set a cookie as late as now: then nothing is stored, and Cache-Status must not say `stored`. */
  private writeHead(status: number, reason: string | undefined): void {
    const say = () => this.member.replace({ fwd: this.fwd, detail: "set-cookie" });
    watchCookies(this.exchange.res, say, () => this.outer.writeHead(status, reason));
  }

  private collectFrom(status: number, reason: string, headers: HeaderList, respondedAt: number): void {
    const { exchange, requestedAt } = this;
    const head = { status, reason, requestedAt, respondedAt, authorized: exchange.isAuthenticated };
    this.pending = new PendingEntry(head, headers, this.before);
    const { fields } = this.pending;
    exchange.state.remember(exchange.resource, fields, 0);
    this.shared?.headReceived(exchange.variantKeyOf(fields), fields, exchange.variantOf(fields));
  }

  private collect(chunk: Chunk, encoding: BufferEncoding | undefined): Chunk {
    const { pending } = this;
    if (pending === undefined) return chunk;
    const bytes = pending.add(chunk, encoding);
    if (pending.size > this.exchange.state.store.maxEntryBytes) {
      this.pending = undefined;
      this.endAsHitForMiss("size");
    }
    return bytes;
  }

  private complete(): void {
    const { pending } = this;
    this.pending = undefined;
    const entry = pending?.entry();
    if (entry !== undefined) this.store(entry, pending!.fields);
  }

  private store(entry: Entry, fields: string): void {
    const result = storeEntry(this.exchange, entry, fields, this.lookup.version);
    this.isStoring = true;
    if (typeof result === "string") this.shared?.settle(result);
    else void result.then((after: FetchResult) => this.shared?.settle(after));
  }

  /** A 304 of the handlers makes the stored answer fresh again (RFC 9111 section 4.3.4). */
  private revalidated(entry: Entry, now: number): void {
    const { exchange, fwd, lookup } = this;
    const { res } = exchange;
    if (!res.hasHeader("date")) res.setHeader("Date", new Date(now).toUTCString());
    const from304 = headersOf(res);
    const updated = updatedEntry(entry, from304, this.before, this.requestedAt, now);
    const all = [...updated.headers, ...from304];
    const why = whyNotStoredHere(exchange, lookup, entry.status, all, this.before);
    if (why === undefined) this.store(updated, varyFieldsOf(all));
    else {
      if (why !== "store") exchange.purge();
      this.endAsHitForMiss(why);
    }
    const result = why === undefined ? { stored: true } : { detail: why };
    this.sendInstead(prepare(exchange, updated, now, { fwd, fwdStatus: 304, ...result }));
  }

  /** The handlers failed: sends the stale answer in place of the error. */
  private serveStale(entry: Entry, status: number, now: number): void {
    const { exchange, fwd } = this;
    const { res } = exchange;
    const connection = res.getHeader("connection"); // a handler's `close` still counts
    replaceHeaders(res, this.before);
    if (connection !== undefined) res.setHeader("Connection", connection);
    const parts = { fwd, fwdStatus: status, detail: "stale-if-error" } as const;
    this.sendInstead(prepare(exchange, entry, now, parts));
    this.shared?.settle("failed");
  }

  private sendInstead(prepared: Prepared): void {
    this.isReplaced = true;
    this.isCounted = true;
    sendPrepared(this.exchange, this.outer, prepared);
  }

  private endAsHitForMiss(why: string | undefined): void {
    markHitForMiss(this.exchange, why);
    this.shared?.settle("hit-for-miss");
  }

  private count(): void {
    if (this.isCounted) return;
    this.isCounted = true;
    this.exchange.count("miss");
  }
}
