import { isHttp2 } from "../lib/request/transport.js";
import { onEnd } from "../lib/response/end-hooks.js";
import { isHeadOurs } from "../lib/response/head-hooks.js";
import type { Chunk, Interceptor, Outer, WriteCallback } from "../lib/response/interceptor.js";
import { intercept } from "../lib/response/interceptor-chain.js";
import { type HeaderList, headersOf, replaceHeaders } from "../lib/response/snapshot.js";
import { setLength } from "../lib/response/write.js";
import { readyEntry } from "./compiled.js";
import { isConditional, replaceConditions, restoreConditions } from "./conditions.js";
import type { Entry } from "./entry.js";
import type { FetchResult, SharedFetch } from "./flight.js";
import { purge } from "./invalidate.js";
import {
  concernsRequestOnly,
  isStillStored,
  isWithdrawn,
  markHitForMiss,
  storeEntry,
  whyNotStorable,
} from "./keep.js";
import { watchCookies } from "./late-cookies.js";
import { type Prepared, prepare } from "./reply.js";
import { notModified } from "./rules/conditional.js";
import { fieldOf } from "./rules/fields.js";
import type { Policy } from "./rules/policy.js";
import { mayServeOnError } from "./rules/reuse.js";
import { storedHeaders, tagsOf, updatedHeaders, varyFieldsOf } from "./rules/stored-headers.js";
import { StatusMember } from "./status-member.js";
import type { Lookup } from "./store.js";
import type { Exchange, ForwardReason } from "./visit.js";

/** A stale answer may replace an answer with one of these (RFC 5861 section 4). */
const ERRORS = new Set([500, 502, 503, 504]);

/**
 * How far all answers that are being stored may run ahead of their clients together, in bytes. A client that does not
 * read must not delay an answer that others wait for, and must not fill the memory with unread answers.
 */
const MAX_AHEAD = 16 * 1024 * 1024;

/** Runs the handlers, stores their answer if it may be stored, and resumes the requests that wait for it. */
export function fetchAnswer(
  exchange: Exchange,
  lookup: Lookup,
  fwd: ForwardReason,
  shared: SharedFetch | undefined,
): void {
  const { req, res, state } = exchange;
  state.passed.add(req);
  const policy = lookup.entry && readyEntry(lookup.entry).policy;
  replaceConditions(exchange, policy);
  const hasOthers = !isHeadOurs(res);
  intercept(res, (outer) => {
    const task = new Fetch(exchange, lookup, policy, fwd, shared, outer, hasOthers);
    onEnd(req, res, ended, task);
    return task;
  });
  exchange.next();
}

function ended(_res: unknown, task: Fetch): void {
  task.ended();
}

class Fetch implements Interceptor {
  private readonly before: HeaderList;
  private readonly requestedAt = Date.now();
  /** The head of the answer, while the answer is being stored. */
  private entryHead: Omit<Entry, "body"> | undefined = undefined;
  /** The Vary fields of the answer. */
  private fields = "";
  private chunks: Buffer[] = [];
  private size = 0;
  /** The Content-Length that the handler has set, if any. */
  private declared = Number.POSITIVE_INFINITY;
  /** Another answer was sent: the handlers' body is not sent to the client. */
  private isReplaced = false;
  private counted = false;
  private readonly member: StatusMember;
  private storing = false;
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
    this.reset();
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

  /** The client does not take more now. Returns whether the handler may go on, for the store. */
  private runAhead({ length }: Chunk): boolean {
    if (this.entryHead === undefined) return false;
    const { state } = this.exchange;
    if (state.ahead + length > MAX_AHEAD) {
      this.shared?.settle("blocked");
      return false;
    }
    state.ahead += length;
    this.ahead += length;
    return true;
  }

  private catchUp(): void {
    this.exchange.state.ahead -= this.ahead;
    this.ahead = 0;
  }

  /** The response has ended: an answer that is not complete by now never will be. */
  ended(): void {
    restoreConditions(this.exchange);
    this.count();
    this.catchUp();
    this.entryHead = undefined;
    if (!this.storing) this.shared?.settle("aborted");
  }

  /** Node refused the previous head and another one comes: starts again. */
  private reset(): void {
    this.entryHead = undefined;
    this.chunks = [];
    this.size = 0;
    this.declared = Number.POSITIVE_INFINITY;
    this.isReplaced = false;
    this.member.remove();
  }

  private begin(status: number, reason: string | undefined, whole: number | undefined, now: number): void {
    const { exchange } = this;
    const { res, conditions } = exchange;
    setLength(res, status, whole);
    if (!res.hasHeader("date") && res.sendDate) res.setHeader("Date", new Date(now).toUTCString());
    const headers = headersOf(res);
    const why =
      whyNotStorable(exchange, status, headers, this.before) ?? (this.isStoreDown ? "store" : undefined);
    this.count();
    this.member.add({ fwd: this.fwd, ...(why === undefined ? { stored: true } : { detail: why }) });
    const isWhole = status >= 200 && status < 300 && status !== 206;
    const asks = isWhole && conditions !== undefined && isConditional(conditions);
    if (asks && notModified(conditions, headers)) this.sendNotModified();
    else if (why === undefined && this.hasOthers && !exchange.state.plan.cookies)
      this.writeHead(status, reason);
    else this.outer.writeHead(status, reason);
    // Only after the head is written: Node may refuse it, and outer middleware may set a cookie on it.
    if (why === undefined && !setsCookie(exchange)) this.keepHead(status, reason ?? "", headers, now);
    else {
      if (why !== undefined && this.lookup.entry !== undefined && isWithdrawn(why, status))
        this.purgeStored();
      this.notShared(why);
    }
  }

  /** Outer middleware may set a cookie as late as now: then nothing is stored, and Cache-Status must not say `stored`. */
  private writeHead(status: number, reason: string | undefined): void {
    const { res } = this.exchange;
    const say = () => this.member.replace({ fwd: this.fwd, detail: "set-cookie" });
    watchCookies(res, say, () => this.outer.writeHead(status, reason));
  }

  private get isStoreDown(): boolean {
    return this.lookup.isDown === true || this.exchange.state.store.isDown === true;
  }

  private keepHead(status: number, reason: string, all: HeaderList, now: number): void {
    const { exchange } = this;
    const headers = storedHeaders(all, this.before);
    const length = fieldOf(all, "content-length");
    if (length !== undefined && /^\d+$/.test(length)) this.declared = Number(length);
    this.entryHead = {
      status,
      reason,
      headers,
      requestedAt: this.requestedAt,
      respondedAt: now,
      authorized: exchange.isAuthenticated,
      tags: tagsOf(headers),
    };
    // All fields, also those that outer middleware has set: its part of the answer depends on them.
    const fields = varyFieldsOf(all);
    this.fields = fields;
    exchange.state.remember(exchange.resource, fields, 0);
    this.shared?.headReceived(exchange.variantKeyOf(fields), fields, exchange.variantOf(fields));
  }

  private collect(chunk: Chunk, encoding: BufferEncoding | undefined): Chunk {
    if (this.entryHead === undefined) return chunk;
    // A copy, as the app may reuse its buffer. Bytes beyond the declared length are dropped: a client would take them
    // for the next response.
    const given = typeof chunk === "string" ? Buffer.from(chunk, encoding) : Buffer.from(chunk);
    const bytes = given.subarray(0, this.declared - this.size);
    this.size += bytes.length;
    if (this.size <= this.exchange.state.store.maxEntryBytes) this.chunks.push(bytes);
    else {
      this.entryHead = undefined;
      this.chunks = [];
      this.notShared("size");
    }
    return bytes;
  }

  private complete(): void {
    const { entryHead } = this;
    if (entryHead === undefined) return;
    this.entryHead = undefined;
    if (Number.isFinite(this.declared) && this.declared !== this.size) return; // the body is not whole
    const body = this.chunks.length === 1 ? this.chunks[0]! : Buffer.concat(this.chunks, this.size);
    this.store({ ...entryHead, body }, this.fields);
  }

  private store(entry: Entry, fields: string): void {
    const result = storeEntry(this.exchange, entry, fields, this.lookup.version);
    this.storing = true;
    if (typeof result === "string") this.shared?.settle(result);
    else void result.then((after: FetchResult) => this.shared?.settle(after));
  }

  /** A 304 of the handlers makes the stored answer fresh again (RFC 9111 section 4.3.4). */
  private revalidated(entry: Entry, now: number): void {
    const { exchange } = this;
    const { res } = exchange;
    if (!res.hasHeader("date")) res.setHeader("Date", new Date(now).toUTCString());
    const said = headersOf(res);
    const headers = updatedHeaders(entry.headers, storedHeaders(said, this.before));
    const updated = {
      ...entry,
      headers,
      tags: tagsOf(headers),
      requestedAt: this.requestedAt,
      respondedAt: now,
    };
    const all = [...headers, ...said];
    const why =
      whyNotStorable(exchange, entry.status, all, this.before) ?? (this.isStoreDown ? "store" : undefined);
    if (why === undefined) this.store(updated, varyFieldsOf(all));
    else {
      if (why !== "store") this.purgeStored();
      this.notShared(why);
    }
    const parts = {
      fwd: this.fwd,
      fwdStatus: 304,
      ...(why === undefined ? { stored: true } : { detail: why }),
    };
    this.sendPrepared(prepare(exchange, updated, now, parts));
  }

  /** The handlers failed: sends the stale answer in place of the error. */
  private serveStale(entry: Entry, status: number, now: number): void {
    const { res } = this.exchange;
    const connection = res.getHeader("connection"); // a handler's `close` still counts
    replaceHeaders(res, this.before);
    if (connection !== undefined) res.setHeader("Connection", connection);
    const parts = { fwd: this.fwd, fwdStatus: status, detail: "stale-if-error" } as const;
    this.sendPrepared(prepare(this.exchange, entry, now, parts));
    this.shared?.settle("failed");
  }

  private sendPrepared({ status, reason, body }: Prepared): void {
    this.counted = true;
    this.sendHeadInstead(status, reason);
    if (body !== undefined) this.outer.write(body);
  }

  private sendNotModified(): void {
    const { res } = this.exchange;
    for (const name of res.getHeaderNames()) {
      if (/^(?:content-(?!location$|security)|trailer$)/.test(name)) res.removeHeader(name);
    }
    this.sendHeadInstead(304, "");
  }

  private sendHeadInstead(status: number, reason: string): void {
    const { req, res } = this.exchange;
    this.isReplaced = true;
    if (!isHttp2(req)) res.statusMessage = reason;
    res.statusCode = status;
    this.outer.writeHead(status);
  }

  private purgeStored(): void {
    const { state, key } = this.exchange;
    purge(state, key, key.target);
  }

  private notShared(why: string | undefined): void {
    if (why === undefined || !concernsRequestOnly(why)) markHitForMiss(this.exchange);
    this.shared?.settle("hit-for-miss");
  }

  private count(): void {
    if (this.counted) return;
    this.counted = true;
    this.exchange.count("miss");
  }
}

/** An outer session sets its cookie only with the head: then the page was made for one visitor. */
function setsCookie({ res, state }: Exchange): boolean {
  return !state.plan.cookies && res.hasHeader("set-cookie");
}
