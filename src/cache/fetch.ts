import { onEnd } from "../lib/response/end-hooks.js";
import { intercept, isHeadOurs } from "../lib/response/intercept.js";
import type { Chunk, Interceptor, Outer, WriteCallback } from "../lib/response/interceptor.js";
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
  const { req, res } = exchange;
  exchange.state.forwarded.add(req);
  const policy = lookup.entry && readyEntry(lookup.entry).policy;
  exchange.replaceConditions(policy);
  const hasThirdParty = !isHeadOurs(res);
  intercept(res, (outer) => {
    const fetch = new Fetch(exchange, lookup, policy, fwd, shared, outer, hasThirdParty);
    onEnd(req, res, Fetch.ended, fetch);
    return fetch;
  });
  exchange.next();
}

class Fetch implements Interceptor {
  private readonly before: HeaderList;
  private readonly requestedAt = Date.now();
  /** The answer, while it is being collected to be stored. */
  private pending: PendingEntry | undefined = undefined;
  /** Another answer was sent: the handlers' body is not sent to the client. */
  private isReplaced = false;
  private isCounted = false;
  private readonly statusMember: StatusMember;
  private isStoring = false;
  /** The part of `state.unreadBytes` that belongs to this answer. */
  private unreadBytes = 0;

  constructor(
    private readonly exchange: Exchange,
    private readonly lookup: Lookup,
    private readonly policy: Policy | undefined,
    private readonly fwd: ForwardReason,
    private readonly shared: SharedFetch | undefined,
    private readonly outer: Outer,
    /** Third-party middleware may act when the head is written. */
    private readonly hasThirdParty: boolean,
  ) {
    this.before = headersOf(exchange.res);
    this.statusMember = new StatusMember(exchange.res, exchange.state.plan.name);
  }

  onHead(status: number, reason: string | undefined, whole: number | undefined): void {
    // Node may have refused an earlier head.
    this.pending = undefined;
    this.isReplaced = false;
    this.statusMember.remove();
    const now = Date.now();
    const policy = this.policy;
    const { exchange, lookup } = this;
    const { entry } = lookup;
    if (entry === undefined || policy === undefined) this.begin(status, reason, whole, now);
    else if (status === 304 && exchange.conditions !== undefined) this.revalidated(entry, now);
    else if (ERRORS.has(status) && mayServeOnError(policy, now) && isStillStored(exchange)) {
      this.serveStale(entry, status, now);
    } else this.begin(status, reason, whole, now);
  }

  onData(chunk: Chunk, encoding: BufferEncoding | undefined, callback: WriteCallback | undefined): boolean {
    const bytes = this.collect(chunk, encoding);
    if (!this.isReplaced) return this.outer.write(bytes, encoding, callback) || this.bufferUnread(bytes);
    if (callback !== undefined) process.nextTick(callback);
    return true;
  }

  onEnd(
    chunk: Chunk | undefined,
    encoding: BufferEncoding | undefined,
    callback: WriteCallback | undefined,
  ): void {
    const bytes = chunk === undefined ? undefined : this.collect(chunk, encoding);
    this.complete();
    this.outer.end(this.isReplaced ? undefined : bytes, encoding, callback);
  }

  onFlush(): void {
    this.outer.flushHeaders();
  }

  onDrain(): void {
    this.releaseUnread();
    this.outer.drain();
  }

  /** The response has ended: an answer that is not complete by now never will be. */
  static ended(_res: unknown, fetch: Fetch): void {
    fetch.exchange.restoreConditions();
    fetch.count();
    fetch.releaseUnread();
    fetch.pending = undefined;
    if (!fetch.isStoring) fetch.shared?.settle("aborted");
  }

  /** Called when the client does not read. Returns whether the handler may still write: its answer is then buffered in
   * memory, because it is to be stored. */
  private bufferUnread({ length }: Chunk): boolean {
    if (this.pending === undefined) return false;
    if (this.exchange.state.reserveUnread(length)) {
      this.unreadBytes += length;
      return true;
    }
    this.shared?.settle("blocked");
    return false;
  }

  private releaseUnread(): void {
    this.exchange.state.unreadBytes -= this.unreadBytes;
    this.unreadBytes = 0;
  }

  /** Sends the handlers' head, or a 304, and starts to collect the answer if it may be stored. */
  private begin(status: number, reason: string | undefined, whole: number | undefined, now: number): void {
    const { exchange, lookup } = this;
    const { res, conditions, state } = exchange;
    setLength(res, status, whole);
    if (!res.hasHeader("date") && res.sendDate) res.setHeader("Date", new Date(now).toUTCString());
    const headers = headersOf(res);
    const why = whyNotStoredHere(exchange, lookup, status, headers, this.before);
    this.count();
    this.statusMember.add({ fwd: this.fwd, ...(why === undefined ? { stored: true } : { detail: why }) });
    if (conditions !== undefined && status !== 206 && notModified(conditions, headers, status)) {
      this.sendInstead(prepareNotModified(res));
    } else if (why === undefined && this.hasThirdParty && !state.plan.cookies) {
      // Outer middleware may set a cookie as late as now: then nothing is stored, and Cache-Status must not say `stored`.
      const say = () => this.statusMember.replace({ fwd: this.fwd, detail: "set-cookie" });
      watchCookies(res, say, () => this.outer.writeHead(status, reason));
    } else this.outer.writeHead(status, reason);
    // Only after the head is written: Node may refuse it, and outer middleware may set a cookie on it.
    if (why === undefined && !setsCookie(exchange)) this.collectFrom(status, reason ?? "", headers, now);
    else {
      if (why !== undefined && lookup.entry !== undefined && isWithdrawn(why, status)) exchange.purge();
      this.endAsHitForMiss(why);
    }
  }

  private collectFrom(status: number, reason: string, headers: HeaderList, respondedAt: number): void {
    const { exchange, requestedAt } = this;
    const head = { status, reason, requestedAt, respondedAt, authorized: exchange.isAuthenticated };
    this.pending = new PendingEntry(head, headers, this.before);
    const { fields: varyFields } = this.pending;
    exchange.state.remember(exchange.resource, varyFields, 0);
    this.shared?.headReceived(exchange.variantKeyOf(varyFields), varyFields, exchange.variantOf(varyFields));
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

  private store(entry: Entry, varyFields: string): void {
    const result = storeEntry(this.exchange, entry, varyFields, this.lookup.version);
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
    this.sendInstead(prepare(exchange, entry, now, { fwd, fwdStatus: status, detail: "stale-if-error" }));
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
