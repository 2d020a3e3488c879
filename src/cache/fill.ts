import { isHttp2 } from "../lib/request/transport.js";
import { onEnd } from "../lib/response/end-hooks.js";
import { isHeadOurs } from "../lib/response/head-hooks.js";
import type { Chunk, Interceptor, Outer, WriteCallback } from "../lib/response/interceptor.js";
import { intercept } from "../lib/response/interceptor-chain.js";
import { type HeaderList, headersOf, replaceHeaders } from "../lib/response/snapshot.js";
import { setLength } from "../lib/response/write.js";
import { compile } from "./compiled.js";
import { ask, giveBack, isConditional } from "./conditions.js";
import type { Entry } from "./entry.js";
import type { Flight, Landing } from "./flight.js";
import { forget } from "./invalidate.js";
import { isChangeOfMind, isOfTheRequest, isStillStored, keep, setApart, whyNotKept } from "./keep.js";
import { watchCookies } from "./late-cookies.js";
import { type Prepared, prepare } from "./reply.js";
import { notModified } from "./rules/conditional.js";
import { fieldOf } from "./rules/fields.js";
import type { Policy } from "./rules/policy.js";
import { mayServeOnError } from "./rules/reuse.js";
import { storedHeaders, tagsOf, updatedHeaders, varyFieldsOf } from "./rules/stored-headers.js";
import { StatusMember } from "./status-member.js";
import type { Lookup } from "./store.js";
import type { Forwarding, Visit } from "./visit.js";

/** A stale answer may replace an answer with one of these (RFC 5861 section 4). */
const ERRORS = new Set([500, 502, 503, 504]);

/**
 * How far all answers that are being stored may run ahead of their clients together, in bytes. A client that does not
 * read must not delay an answer that others wait for, and must not fill the memory with unread answers.
 */
const MOST_AHEAD = 16 * 1024 * 1024;

/** Runs the handlers, stores their answer if it may be stored, and resumes the requests that wait for it. */
export function fill(visit: Visit, lookup: Lookup, fwd: Forwarding, flight: Flight | undefined): void {
  const { req, res, state } = visit;
  state.passed.add(req);
  const policy = lookup.entry && compile(lookup.entry).policy;
  ask(visit, policy);
  const hasOthers = !isHeadOurs(res);
  intercept(res, (outlet) => {
    const task = new Fill(visit, lookup, policy, fwd, flight, outlet, hasOthers);
    onEnd(req, res, leave, task);
    return task;
  });
  visit.next();
}

function leave(_res: unknown, task: Fill): void {
  task.leave();
}

class Fill implements Interceptor {
  private readonly before: HeaderList;
  private readonly requestedAt = Date.now();
  /** The head of the answer, while the answer is being stored. */
  private kept: Omit<Entry, "body"> | undefined = undefined;
  /** The Vary fields of the answer. */
  private fields = "";
  private chunks: Buffer[] = [];
  private size = 0;
  /** The Content-Length that the handler has set, if any. */
  private declared = Number.POSITIVE_INFINITY;
  /** Another answer was sent: the handlers' body is not sent to the client. */
  private silent = false;
  private counted = false;
  private readonly member: StatusMember;
  private storing = false;
  /** The part of `state.ahead` that belongs to this answer. */
  private ahead = 0;

  constructor(
    private readonly visit: Visit,
    private readonly lookup: Lookup,
    private readonly policy: Policy | undefined,
    private readonly fwd: Forwarding,
    private readonly flight: Flight | undefined,
    private readonly outlet: Outer,
    /** Third-party middleware may act when the head is written. */
    private readonly hasOthers: boolean,
  ) {
    this.before = headersOf(visit.res);
    this.member = new StatusMember(visit.res, visit.state.plan.name);
  }

  head(status: number, reason: string | undefined, whole: number | undefined): void {
    this.reset();
    const now = Date.now();
    const { visit, lookup } = this;
    const { entry } = lookup;
    const policy = this.policy;
    if (entry === undefined || policy === undefined) this.begin(status, reason, whole, now);
    else if (status === 304 && visit.conditions !== undefined) this.renew(entry, now);
    else if (ERRORS.has(status) && mayServeOnError(policy, now) && isStillStored(visit)) {
      this.rescue(entry, status, now);
    } else this.begin(status, reason, whole, now);
  }

  write(chunk: Chunk, encoding: BufferEncoding | undefined, callback: WriteCallback | undefined): boolean {
    const bytes = this.gather(chunk, encoding);
    if (!this.silent) return this.outlet.write(bytes, encoding, callback) || this.runAhead(bytes);
    if (callback !== undefined) process.nextTick(callback);
    return true;
  }

  end(
    chunk: Chunk | undefined,
    encoding: BufferEncoding | undefined,
    callback: WriteCallback | undefined,
  ): void {
    const bytes = chunk === undefined ? undefined : this.gather(chunk, encoding);
    this.complete();
    this.outlet.end(this.silent ? undefined : bytes, encoding, callback);
  }

  flush(): void {
    this.outlet.flushHeaders();
  }

  drain(): void {
    this.catchUp();
    this.outlet.drain();
  }

  /** The client does not take more now. Returns whether the handler may go on, for the store. */
  private runAhead({ length }: Chunk): boolean {
    if (this.kept === undefined) return false;
    const { state } = this.visit;
    if (state.ahead + length > MOST_AHEAD) {
      this.flight?.land("held");
      return false;
    }
    state.ahead += length;
    this.ahead += length;
    return true;
  }

  private catchUp(): void {
    this.visit.state.ahead -= this.ahead;
    this.ahead = 0;
  }

  /** The response has ended: an answer that is not complete by now never will be. */
  leave(): void {
    giveBack(this.visit);
    this.count();
    this.catchUp();
    this.kept = undefined;
    if (!this.storing) this.flight?.land("lost");
  }

  /** Node refused the previous head and another one comes: starts again. */
  private reset(): void {
    this.kept = undefined;
    this.chunks = [];
    this.size = 0;
    this.declared = Number.POSITIVE_INFINITY;
    this.silent = false;
    this.member.remove();
  }

  private begin(status: number, reason: string | undefined, whole: number | undefined, now: number): void {
    const { visit } = this;
    const { res, conditions } = visit;
    setLength(res, status, whole);
    if (!res.hasHeader("date") && res.sendDate) res.setHeader("Date", new Date(now).toUTCString());
    const headers = headersOf(res);
    const why = whyNotKept(visit, status, headers, this.before) ?? (this.isDown ? "store" : undefined);
    this.count();
    this.member.add({ fwd: this.fwd, ...(why === undefined ? { stored: true } : { detail: why }) });
    const isWhole = status >= 200 && status < 300 && status !== 206;
    const asks = isWhole && conditions !== undefined && isConditional(conditions);
    if (asks && notModified(conditions, headers)) this.answerNotModified();
    else if (why === undefined && this.hasOthers && !visit.state.plan.cookies) this.writeHead(status, reason);
    else this.outlet.writeHead(status, reason);
    // Only after the head is written: Node may refuse it, and outer middleware may set a cookie on it.
    if (why === undefined && !setsCookie(visit)) this.keepHead(status, reason ?? "", headers, now);
    else {
      if (why !== undefined && this.lookup.entry !== undefined && isChangeOfMind(why, status)) this.forget();
      this.apart(why);
    }
  }

  /** Outer middleware may set a cookie as late as now: then nothing is stored, and Cache-Status must not say `stored`. */
  private writeHead(status: number, reason: string | undefined): void {
    const { res } = this.visit;
    const say = () => this.member.replace({ fwd: this.fwd, detail: "set-cookie" });
    watchCookies(res, say, () => this.outlet.writeHead(status, reason));
  }

  private get isDown(): boolean {
    return this.lookup.isDown === true || this.visit.state.store.isDown === true;
  }

  private keepHead(status: number, reason: string, all: HeaderList, now: number): void {
    const { visit } = this;
    const headers = storedHeaders(all, this.before);
    const length = fieldOf(all, "content-length");
    if (length !== undefined && /^\d+$/.test(length)) this.declared = Number(length);
    this.kept = {
      status,
      reason,
      headers,
      requestedAt: this.requestedAt,
      respondedAt: now,
      authorized: visit.isPersonal,
      tags: tagsOf(headers),
    };
    // All fields, also those that outer middleware has set: its part of the answer depends on them.
    const fields = varyFieldsOf(all);
    this.fields = fields;
    visit.state.remember(visit.resource, fields, 0);
    this.flight?.release(visit.placeOf(fields), fields, visit.variantOf(fields));
  }

  private gather(chunk: Chunk, encoding: BufferEncoding | undefined): Chunk {
    if (this.kept === undefined) return chunk;
    // A copy, as the app may reuse its buffer. Bytes beyond the declared length are dropped: a client would take them
    // for the next response.
    const given = typeof chunk === "string" ? Buffer.from(chunk, encoding) : Buffer.from(chunk);
    const bytes = given.subarray(0, this.declared - this.size);
    this.size += bytes.length;
    if (this.size <= this.visit.state.store.maxEntryBytes) this.chunks.push(bytes);
    else {
      this.kept = undefined;
      this.chunks = [];
      this.apart("size");
    }
    return bytes;
  }

  private complete(): void {
    const { kept } = this;
    if (kept === undefined) return;
    this.kept = undefined;
    if (Number.isFinite(this.declared) && this.declared !== this.size) return; // the body is not whole
    const body = this.chunks.length === 1 ? this.chunks[0]! : Buffer.concat(this.chunks, this.size);
    this.store({ ...kept, body }, this.fields);
  }

  private store(entry: Entry, fields: string): void {
    const landing = keep(this.visit, entry, fields, this.lookup.stamp);
    this.storing = true;
    if (typeof landing === "string") this.flight?.land(landing);
    else void landing.then((after: Landing) => this.flight?.land(after));
  }

  /** A 304 of the handlers makes the stored answer fresh again (RFC 9111 section 4.3.4). */
  private renew(entry: Entry, now: number): void {
    const { visit } = this;
    const { res } = visit;
    if (!res.hasHeader("date")) res.setHeader("Date", new Date(now).toUTCString());
    const said = headersOf(res);
    const headers = updatedHeaders(entry.headers, storedHeaders(said, this.before));
    const renewed = {
      ...entry,
      headers,
      tags: tagsOf(headers),
      requestedAt: this.requestedAt,
      respondedAt: now,
    };
    const all = [...headers, ...said];
    const why = whyNotKept(visit, entry.status, all, this.before) ?? (this.isDown ? "store" : undefined);
    if (why === undefined) this.store(renewed, varyFieldsOf(all));
    else {
      if (why !== "store") this.forget();
      this.apart(why);
    }
    const parts = {
      fwd: this.fwd,
      fwdStatus: 304,
      ...(why === undefined ? { stored: true } : { detail: why }),
    };
    this.replace(prepare(visit, renewed, now, parts));
  }

  /** The handlers failed: sends the stale answer in place of the error. */
  private rescue(entry: Entry, status: number, now: number): void {
    const { res } = this.visit;
    const connection = res.getHeader("connection"); // a handler's `close` still counts
    replaceHeaders(res, this.before);
    if (connection !== undefined) res.setHeader("Connection", connection);
    const parts = { fwd: this.fwd, fwdStatus: status, detail: "stale-if-error" } as const;
    this.replace(prepare(this.visit, entry, now, parts));
    this.flight?.land("failed");
  }

  private replace({ status, reason, body }: Prepared): void {
    this.counted = true;
    this.answerInstead(status, reason);
    if (body !== undefined) this.outlet.write(body);
  }

  private answerNotModified(): void {
    const { res } = this.visit;
    for (const name of res.getHeaderNames()) {
      if (/^(?:content-(?!location$|security)|trailer$)/.test(name)) res.removeHeader(name);
    }
    this.answerInstead(304, "");
  }

  private answerInstead(status: number, reason: string): void {
    const { req, res } = this.visit;
    this.silent = true;
    if (!isHttp2(req)) res.statusMessage = reason;
    res.statusCode = status;
    this.outlet.writeHead(status);
  }

  private forget(): void {
    const { state, key } = this.visit;
    forget(state, key, key.target);
  }

  private apart(why: string | undefined): void {
    if (why === undefined || !isOfTheRequest(why)) setApart(this.visit);
    this.flight?.land("apart");
  }

  private count(): void {
    if (this.counted) return;
    this.counted = true;
    this.visit.count("miss");
  }
}

/** An outer session sets its cookie only with the head: then the page was made for one visitor. */
function setsCookie({ res, state }: Visit): boolean {
  return !state.plan.cookies && res.hasHeader("set-cookie");
}
